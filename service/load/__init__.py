"""Load control: the one place that decides whether and when a request is served.

`admission` limits how many requests start in each iteration of the event loop, `queue` schedules
their work in chunks, small work first, and `stream_slots` limits concurrent streaming responses.
Each rejects a request whose estimated wait exceeds MONIKER_MAX_WAIT_SECONDS.
"""
