"""The sections of the approvals app, by the dotted names of their modules, in the order of their links in the bar."""

from __future__ import annotations

SECTIONS = (
    "lifecycle.app.kit.rest.verbs",
    "lifecycle.app.home.section",
    "lifecycle.app.pipelines.section",
    "lifecycle.app.approvals.section",
    "lifecycle.app.acts.section",
    "lifecycle.app.environments.section",
    "lifecycle.app.audit.section",
    "lifecycle.app.settings.section",
    "lifecycle.app.account.section",
)
