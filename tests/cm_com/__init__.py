"""Tests of the CM.com provider: pure wire tests, a scripted server for faults, the simulator, Airflow."""
