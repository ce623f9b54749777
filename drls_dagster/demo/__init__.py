"""`drls demo`: how a pipeline goes from a file to production and back, played by two people and an Admin."""

from __future__ import annotations

from drls_dagster.demo.first_look import SEEDED, is_seeded, seed
from drls_dagster.demo.stage import Stage
from drls_dagster.demo.story import tell_story
from drls_dagster.demo.telling import Astray, Scene, Telling

__all__ = ["SEEDED", "Astray", "Scene", "Stage", "Telling", "is_seeded", "seed", "tell_story"]
