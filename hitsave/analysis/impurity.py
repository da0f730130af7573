"""What outside names bring in that no key can hold: the clock, randomness, the network, other processes."""

from __future__ import annotations

# What tells the interpreter and platform: the one kind that can be held against what it was.
INTERPRETER = "interpreter"
_KINDS = {
    INTERPRETER: "sys.version sys.version_info sys.hexversion sys.implementation sys.platform sys.byteorder os.name "
    "platform.python_version platform.python_version_tuple platform.python_implementation platform.system",
    "clock": "time.time time.time_ns time.monotonic time.perf_counter time.process_time time.localtime time.gmtime "
    "time.ctime time.strftime time.asctime datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today "
    "datetime.date.today pandas.Timestamp.now pandas.Timestamp.today",
    "randomness": "uuid.uuid1 uuid.uuid4 os.urandom os.getrandom random. secrets. numpy.random.",
    "network": "socket. requests. urllib.request. http.client. httpx. aiohttp. ftplib. smtplib. ssl. boto3. paramiko.",
    "process": "subprocess. os.system os.popen os.fork os.spawn pty.",
    "host": "os.getpid os.getppid os.getcwd os.uname socket.gethostname platform. getpass.getuser os.cpu_count "
    "os.getlogin",
    "input": "builtins.input sys.stdin",
}
_EXACT = {name: kind for kind, names in _KINDS.items() for name in names.split() if name[-1] != "."}
_PREFIXES = tuple((name, kind) for kind, names in _KINDS.items() for name in names.split() if name[-1] == ".")
# Seeded generators, types and constants of the same modules are as pure as any other code.
_PURE = frozenset({
    "random.Random", "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.Generator",
    "numpy.random.seed", "random.seed", "socket.AF_INET", "socket.SOCK_STREAM", "numpy.random.SeedSequence",
    "requests.Response", "requests.RequestException", "subprocess.CalledProcessError", "subprocess.PIPE",
    "subprocess.TimeoutExpired",
})  # fmt: skip


def impurity_of(name: str) -> str:
    """The kind of impurity that an outside name stands for, "" for none."""
    if name in _EXACT:
        return _EXACT[name]
    if (
        name not in _PURE
        and name.rpartition(".")[0] not in _PURE
        and not name.rpartition(".")[2].endswith(("Error", "Exception", "error"))
    ):
        for prefix, kind in _PREFIXES:
            if name.startswith(prefix):
                return kind
    return ""
