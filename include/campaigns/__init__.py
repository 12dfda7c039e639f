"""Campaigns: who, in what order, how fast, exactly once. Start with plan.py, then sender.py."""
