"""CM.com's wire format, and nothing else: pure functions, no I/O, no clock.

``messages`` builds requests, ``answers`` reads the gateway's answer, ``transactions`` reads the message log
and ``templates`` the template list. What CM.com documents and what is only inferred is said at each place.
"""
