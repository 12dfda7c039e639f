"""Who may do what in Airflow."""

from __future__ import annotations

import json

from include.entities import load_entity
from include.local.commands import all_roles
from include.local.roles import custom_roles


def test_only_approvers_answer_and_only_engineers_repair() -> None:
    roles = custom_roles(load_entity("acme"))
    granted = {
        role: {(one["action"], one["resource"]) for one in permissions} for role, permissions in roles.items()
    }
    assert set(granted) == {"acme_engineer", "acme_marketer", "acme_approver", "acme_analyst"}
    answering = {role for role, permissions in granted.items() if ("can_edit", "HITL Detail") in permissions}
    repairing = {
        role for role, permissions in granted.items() if ("can_edit", "Task Instances") in permissions
    }
    assert (answering, repairing) == ({"acme_approver"}, {"acme_engineer"})
    everyones_dags = {
        permission
        for permissions in granted.values()
        for permission in permissions
        if permission[1] == "DAGs"
    }
    assert everyones_dags == {("menu_access", "DAGs")}, (
        "which Dags a role sees is the Dag's own access_control"
    )


def test_the_setting_is_what_fab_reads() -> None:
    roles = json.loads(all_roles())
    assert "acme_marketer" in roles
    assert all(one.keys() == {"action", "resource"} for permissions in roles.values() for one in permissions)
