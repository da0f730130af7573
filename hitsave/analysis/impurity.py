"""What outside names bring in that no key can hold: the clock, randomness, the network, other processes."""

from __future__ import annotations

# What tells the interpreter and platform: the one kind that can be held against what it was.
INTERPRETER = "interpreter"
# What is read of a generator of random numbers that is made without a seed.
UNSEEDED = "__unseeded__"
READER = "reader"  # reads files out of Python's sight, though not out of the observer's …
UNSEEN = "files read out of sight"  # … and these are out of both
_KINDS = {
    INTERPRETER: "sys.version sys.version_info sys.hexversion sys.implementation sys.platform sys.byteorder os.name "
    "platform.python_version platform.python_version_tuple platform.python_implementation platform.system",
    # Libraries that read files with code of their own. Where that begins in Python, it is seen (`observe/readers.py`) …
    READER: "polars.read_ polars.scan_ pyarrow.parquet. pyarrow.dataset. pyarrow.feather. pyarrow.orc. "
    "pandas.read_parquet pandas.read_orc pandas.read_feather pandas.read_hdf h5py.File xarray.open_ xarray.load_ "
    "zarr.open zarr.load rasterio.open geopandas.read_ soundfile.read torchaudio.load torchvision.io. "
    "tables.open_file safetensors. lightgbm.Booster xgboost.DMatrix deltalake.",
    UNSEEN: "pyarrow.csv. pyarrow.json. pyarrow.memory_map pyarrow.OSFile cv2.imread cv2.VideoCapture cv2.FileStorage "
    "netCDF4.Dataset netCDF4.MFDataset duckdb. faiss.read_index fasttext.load_model sentencepiece. tokenizers. pysam. "
    "lxml.etree.parse lxml.etree.iterparse lxml.html.parse pyreadstat.read_",
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
_EXACT = {name: kind for kind, names in _KINDS.items() for name in names.split() if name[-1] not in "._"}
_PREFIXES = tuple((name, kind) for kind, names in _KINDS.items() for name in names.split() if name[-1] in "._")
# Seeded generators, types and constants of the same modules are as pure as any other code.
_PURE = frozenset({
    "random.Random", "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.Generator",
    "numpy.random.seed", "random.seed", "socket.AF_INET", "socket.SOCK_STREAM", "numpy.random.SeedSequence",
    "requests.Response", "requests.RequestException", "subprocess.CalledProcessError", "subprocess.PIPE",
    "subprocess.TimeoutExpired",
})  # fmt: skip


def impurity_of(name: str) -> str:
    """The kind of impurity that an outside name stands for, "" for none."""
    if name.endswith(UNSEEDED):
        return "randomness"
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
