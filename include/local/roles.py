"""Airflow's roles for the people around an entity, as FAB's ``[fab] custom_roles`` wants them.

Airflow asks two things of a person: may they do this kind of thing at all (the global permissions here),
and may they see or edit this Dag (the Dag's own ``access_control``). Both must be given, so a permission on
``DAG Runs`` here opens no Dag of another entity (FabAuthManager.is_authorized_dag, provider fab, scenario 3).
"""

from __future__ import annotations

from collections.abc import Mapping

from include.entities import Entity

Permission = tuple[str, str]

_READER: tuple[Permission, ...] = (
    ("can_read", "Website"),
    ("can_read", "My Profile"),
    ("can_edit", "My Profile"),
    ("can_read", "My Password"),
    ("can_edit", "My Password"),
    ("can_read", "Plugins"),
    ("can_read", "DAG Runs"),
    ("can_read", "DAG Versions"),
    ("can_read", "Task Instances"),
    ("can_read", "Task Logs"),
    ("can_read", "HITL Detail"),
    ("menu_access", "Browse"),
    ("menu_access", "DAGs"),
    ("menu_access", "DAG Runs"),
)
_APPROVER: tuple[Permission, ...] = (("can_edit", "HITL Detail"), ("menu_access", "HITL Detail"))
_ENGINEER: tuple[Permission, ...] = (
    ("can_create", "DAG Runs"),
    ("can_edit", "DAG Runs"),
    ("can_create", "Task Instances"),
    ("can_edit", "Task Instances"),
    ("can_read", "DAG Code"),
    ("can_read", "DAG Dependencies"),
    ("can_read", "DAG Warnings"),
    ("can_read", "XComs"),
    ("can_read", "ImportError"),
    ("can_read", "Jobs"),
    ("can_read", "Cluster Activity"),
    ("can_read", "Assets"),
    ("can_create", "Assets"),
    ("can_read", "Connections"),
    ("can_create", "Connections"),
    ("can_edit", "Connections"),
    ("menu_access", "Assets"),
    ("menu_access", "Connections"),
    ("menu_access", "Admin"),
    ("menu_access", "Cluster Activity"),
    ("menu_access", "Task Instances"),
)

PERMISSIONS: Mapping[str, tuple[Permission, ...]] = {
    "engineer": _READER + _ENGINEER,
    "marketer": _READER,
    "approver": _READER + _APPROVER,
    "analyst": _READER,
}


def custom_roles(entity: Entity) -> dict[str, list[dict[str, str]]]:
    """The value of ``AIRFLOW__FAB__CUSTOM_ROLES`` for an entity: role name → its global permissions.

    The role's names are the entity's own (``roles`` in entity.yaml); a duty without a role is left out.
    """
    names = entity.settings.roles.model_dump()
    return {
        names[duty]: [{"action": action, "resource": resource} for action, resource in permissions]
        for duty, permissions in PERMISSIONS.items()
        if names.get(duty)
    }
