"""What each player is shown, as bytes: changes against what it is known to have, within its bandwidth.

In: who sees whom (zonecluster/interest), everybody's records. Out: payloads of all viewers, in one call.
"""
