"""Where results live: in memory, on disk, and (hitsave.cloud) on a server, one contract for all.

contract.py       what every store can do
memory.py         the newest few, in this process
disk.py           everything, for all processes of this machine
tiers.py          several stores as one, nearest first
flight.py         one computation per key, across threads, tasks and processes
collect.py        keeping the cache within its limits
repair.py         mending a damaged cache
"""
