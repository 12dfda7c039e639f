# The official Airflow image with this project and its pinned requirements. Built by `make up`, or by your pipeline.
FROM apache/airflow:3.3.2-python3.12

# Requirements first: they change less often than the code.
COPY --chown=airflow:0 pyproject.toml README.md requirements.txt /opt/airflow/project/
WORKDIR /opt/airflow/project
RUN grep -v '^-e ' requirements.txt > /tmp/pinned.txt \
    && pip install --no-cache-dir --requirement /tmp/pinned.txt \
    && rm /tmp/pinned.txt

COPY --chown=airflow:0 include include
COPY --chown=airflow:0 plugins plugins
COPY --chown=airflow:0 dags dags
RUN pip install --no-cache-dir --no-deps --editable .

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/project/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/project/plugins
