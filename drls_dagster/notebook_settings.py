"""The settings of notebooks: how many, how large and how long."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class NotebookSettings(BaseModel):
    """Notebooks of people, one process tree for each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    most: int = Field(default=4, ge=0, description="How many notebooks run at once; 0: none")
    memory: str = Field(
        default="2g", pattern=r"^[1-9][0-9]*[mg]$", description="Memory of one notebook with all that it starts"
    )
    idle_minutes: float = Field(default=30, gt=0, description="Minutes without a person after which a notebook stops")
    hours: float = Field(default=12, gt=0, description="Hours after which a notebook stops whatever it does")
