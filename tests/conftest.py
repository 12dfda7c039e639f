"""What every test may use. Helpers that tests import are in ``tests/support``."""

pytest_plugins = [
    "tests.support.airflow",
    "tests.support.airflow_home",
    "tests.support.demo",
    "tests.support.parallel",
    "tests.support.postgres",
]
