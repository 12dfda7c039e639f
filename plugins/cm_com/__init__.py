"""CM.com for Airflow: a connection type, a hook, an async messenger and two operators.

It knows CM.com's Business Messaging gateway and nothing of campaigns. Importing the package itself loads
nothing: ``cm_com.wire``, ``cm_com.codes``, ``cm_com.delivery`` and ``cm_com.exceptions`` are plain Python,
``cm_com.messenger`` needs aiohttp, ``cm_com.hooks`` and ``cm_com.operators`` need Airflow.
"""
