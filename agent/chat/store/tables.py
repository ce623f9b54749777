"""The tables of chats."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

CHATS = sa.Table(
    "chats",
    METADATA,
    sa.Column("id", sa.String(), primary_key=True),
    sa.Column("owner", sa.String(), nullable=False, index=True),
    sa.Column("title", sa.String(), nullable=False),
    sa.Column("model", sa.String(), nullable=False),
    sa.Column("about_kind", sa.String(), nullable=True),
    sa.Column("about_name", sa.String(), nullable=True),
    sa.Column("created_at", sa.Float(), nullable=False),
    # Increases with every use: the order of the list, and the cursor of its pages.
    sa.Column("updated_at", sa.Float(), nullable=False, index=True),
)
# `content` is what people see (agent.chat.wire), `private` what only a turn needs, `words` what a search looks at.
ENTRIES = sa.Table(
    "entries",
    METADATA,
    sa.Column("chat", sa.String(), primary_key=True),
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("kind", sa.String(), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.Column("private", sa.Text(), nullable=False),
    sa.Column("words", sa.Text(), nullable=False),
)
# A message and the work on it. Without `ended_at` its process works on it, or died.
TURNS = sa.Table(
    "turns",
    METADATA,
    sa.Column("chat", sa.String(), primary_key=True),
    sa.Column("entry", sa.Integer(), primary_key=True),
    sa.Column("message_key", sa.String(), nullable=True),
    sa.Column("place", sa.String(), nullable=False),
    sa.Column("host", sa.String(), nullable=False),
    sa.Column("pid", sa.Integer(), nullable=False),
    sa.Column("created", sa.Float(), nullable=False),
    sa.Column("beat_at", sa.Float(), nullable=False),
    sa.Column("ended_at", sa.Float(), nullable=True),
    sa.UniqueConstraint("chat", "message_key", name="uq_turns_message_key"),
)
# What a step of a model, or a call of a tool, used. `day` is the day in UTC, YYYY-MM-DD.
USES = sa.Table(
    "uses",
    METADATA,
    sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
    sa.Column("chat", sa.String(), nullable=False, index=True),
    sa.Column("entry", sa.Integer(), nullable=False),
    sa.Column("owner", sa.String(), nullable=False),
    sa.Column("day", sa.String(), nullable=False, index=True),
    sa.Column("model", sa.String(), nullable=False),
    sa.Column("tokens", sa.Integer(), nullable=False),
    sa.Column("money", sa.Float(), nullable=True),
    sa.Column("steps", sa.Integer(), nullable=False),
    sa.Column("seconds", sa.Float(), nullable=False),
)
