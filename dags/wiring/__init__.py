"""What the Dag files share: entities in, Airflow's connections turned into what `include` takes, errors
turned into retries.
"""
