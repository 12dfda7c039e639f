"""### Check the entities' files

No Dag comes from this file. When an entity's YAML is wrong, this file is the import error that says so, with
file, line and remedy; that entity's Dags are gone until it is corrected, and every other entity's Dags (from
the other files) keep running.
"""

from __future__ import annotations

# The words airflow and dag make Airflow read this file.
from include.entities import EntityProblems, entity_names, load_entity

problems = []
for name in entity_names():
    try:
        load_entity(name)
    except EntityProblems as found:
        problems.append(str(found))
if problems:
    raise ValueError("\n".join(problems))
