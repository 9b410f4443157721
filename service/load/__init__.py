"""Load control: the one place that decides whether and when a request is served.

`entrance` lets requests begin, `queue` lets their work go on in chunks, `streams` has the slots of
replies without an end in sight. Each lets a request wait for its turn, and refuses it at once if
the estimated wait is longer than MONIKER_MAX_WAIT_SECONDS.
"""
