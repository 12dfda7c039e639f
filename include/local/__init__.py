"""The front door on one machine: PostgreSQL, sample sources, simulator, Airflow, and the demo."""
