"""Calls to boltons for `benchmarks/history.py`."""

import importlib

from boltons import (
    cacheutils,
    dictutils,
    fileutils,
    formatutils,
    funcutils,
    iterutils,
    jsonutils,
    listutils,
    mathutils,
    namedutils,
    queueutils,
    setutils,
    statsutils,
    strutils,
    tableutils,
    timeutils,
    typeutils,
    urlutils,
)


def lru():
    cache = cacheutils.LRU(max_size=2)
    cache["a"], cache["b"], cache["c"] = 1, 2, 3
    return sorted(cache), cache.get("a", "gone")


def lri():
    cache = cacheutils.LRI(max_size=2)
    cache.update(a=1, b=2, c=3)
    return sorted(cache.items())


def threshold_counter():
    counter = cacheutils.ThresholdCounter(threshold=0.1)
    counter.update("aaaaaabbbbcc")
    return counter.most_common(2), counter.get_uncommon_count()


def omd():
    d = dictutils.OMD([("a", 1), ("b", 2), ("a", 3)])
    return d.getlist("a"), d.items(multi=True), d.todict(), len(d)


def frozen_dict():
    return sorted(dictutils.FrozenDict(a=1).updated(b=2).items())


def one_to_one():
    return dict(dictutils.OneToOne({"a": 1, "b": 2}).inv)


def many_to_many():
    m = dictutils.ManyToMany([("a", 1), ("a", 2), ("b", 2)])
    return sorted(m["a"]), sorted(m.inv[2])


def subdict():
    return dictutils.subdict({"a": 1, "b": 2, "c": 3}, drop=["b"])


def file_perms():
    perms = fileutils.FilePerms(user="rwx", group="r")
    perms.other = "x"
    return repr(perms), oct(int(perms))


def format_fields():
    return formatutils.get_format_args("{a}: {b:.2f} {0}"), formatutils.split_format_str("x {a!r} y")


def infer_positional():
    return formatutils.infer_positional_format_args("{} and {} but {hi}")


def function_builder():
    fb = funcutils.FunctionBuilder("f", args=["a", "b"], defaults=(2,), body="return a + b")
    return fb.get_func()(1), fb.get_sig_str()


def wraps():
    def add(a, b=2):
        return a + b

    @funcutils.wraps(add)
    def wrapper(*a, **kw):
        return add(*a, **kw) * 10

    return wrapper(1), wrapper.__name__


def partial_ordering():
    return funcutils.format_invocation("f", (1, 2), {"c": 3})


def chunked():
    return iterutils.chunked(range(8), 3), iterutils.chunked(range(5), 3, fill=None)


def chunk_ranges():
    return list(iterutils.chunk_ranges(input_offset=10, input_size=10, chunk_size=4, overlap_size=1))


def windowed():
    return list(iterutils.windowed_iter(range(6), 3)), iterutils.pairwise(range(4))


def bucketize():
    return iterutils.bucketize(range(5)), iterutils.partition(range(5), lambda x: x % 2)


def remap():
    root = {"a": [1, None, {"b": None, "c": 2}], "d": None}
    return iterutils.remap(root, visit=lambda p, k, v: v is not None)


def research():
    return iterutils.research({"a": {"b": 1, "c": (2, "d", 3)}}, query=lambda p, k, v: v in (2, 3))


def get_path():
    return iterutils.get_path({"a": [{"b": 5}]}, ("a", 0, "b")), iterutils.get_path({}, ("x",), default=7)


def unique():
    return iterutils.unique("hello"), iterutils.redundant("hello world"), iterutils.one([0, 1, 0])


def split_strip():
    return iterutils.split(["a", None, "b", None, None, "c"]), iterutils.strip([0, 1, 0], 0)


def backoff():
    return iterutils.backoff(1, 10), iterutils.frange(1.0, 3.0, 0.5)


def flatten():
    return iterutils.flatten([[1, [2]], [3, ["four"]]]), iterutils.first([0, None, 4])


def reverse_lines():
    import io

    return list(jsonutils.reverse_iter_lines(io.BytesIO(b"one\ntwo\nthree")))


def barrel_list():
    found = listutils.BarrelList(range(10))
    found.insert(3, "x")
    del found[0]
    return list(found), found[2]


def splay_list():
    found = listutils.SplayList("abc")
    found.shift(2, 0)
    return list(found)


def clamp():
    return mathutils.clamp(5, 0, 3), mathutils.ceil(2.5), mathutils.floor(2.5), mathutils.ceil(3, [1, 4, 9])


def bits():
    return mathutils.Bits("1010").as_int(), repr(mathutils.Bits(5, 8))


def namedlist():
    Point = namedutils.namedlist("Point", ["x", "y"])
    p = Point(1, 2)
    p.x = 5
    return list(p), Point._fields  # an instance of a class made by `exec` can't be stored


def augpath():
    pathutils = importlib.import_module("boltons.pathutils")  # only in later releases
    return pathutils.augpath("a/b.txt", suffix="_x", ext=".md"), pathutils.shrinkuser("/nowhere/a")


def priority_queue():
    q = queueutils.PriorityQueue()
    for n in (3, 1, 2):
        q.add(n, priority=n)
    return [q.pop() for _ in range(3)]


def indexed_set():
    s = setutils.IndexedSet(list(range(4)) + list(range(8)))
    return s[5], s - {2, 3}, s.index(4), list(setutils.IndexedSet("ba") | set("c"))


def complement():
    return 5 in setutils.complement({1, 2}), 1 in setutils.complement({1, 2})


def stats():
    s = statsutils.Stats([1, 2, 3, 4, 10])
    return s.mean, s.median, s.std_dev, s.iqr, s.trimean, s.get_quantile(0.25)


def histogram():
    return statsutils.Stats(range(20)).get_histogram_counts(4), statsutils.median([2, 1, 9])


def describe():
    return statsutils.describe([1, 2, 3, 4]), statsutils.pearson_type([1, 2, 3, 4, 5])


def cases():
    return (
        strutils.camel2under("BasicParseTest"),
        strutils.under2camel("complex_tokenizer"),
        strutils.slugify("First post! Hi!"),
    )


def cardinalize():
    return (
        strutils.pluralize("enemy"),
        strutils.singularize("FEET"),
        strutils.cardinalize("vacuum", 3),
        strutils.ordinalize(22),
    )


def asciify():
    return strutils.asciify("Beyoncé"), strutils.is_ascii("a"), strutils.a10n("internationalization")


def bytes2human():
    return strutils.bytes2human(128991), strutils.bytes2human(100001221, ndigits=2), strutils.split_punct_ws("a, b c!")


def int_ranges():
    return (
        strutils.parse_int_list("1,3,5-8"),
        strutils.format_int_list([1, 3, 5, 6, 7]),
        strutils.complement_int_list("1,3"),
    )


def multi_replace():
    return strutils.MultiReplace([("foo", "zoo"), ("cat", "hat")]).sub("The foo bar cat"), strutils.unwrap_text(
        "a\nb\n\nc"
    )


def html2text():
    return strutils.html2text("<a href='#'>Test &lt;b&gt;</a>"), strutils.strip_ansi("\x1b[31mred\x1b[0m")


def shell_args():
    return (
        strutils.args2sh(["aa", "[bb]", "cc'cc"]),
        strutils.args2cmd(["a b", 'c"d']),
        list(strutils.iter_splitlines("a\nb")),
    )


def table():
    t = tableutils.Table.from_lists([[1, 2], [3, 4]], headers=["a", "b"])
    return t.to_text(), t.to_html(with_newlines=False), len(t)


def table_dicts():
    return tableutils.Table.from_data([{"a": 1, "b": 2}, {"a": 3, "b": 4}]).to_text(with_headers=True)


def parse_time():
    import datetime

    d = datetime.datetime(2020, 1, 2, 3, 4, 5)
    return timeutils.parse_timedelta("1d 2h 3.5s"), timeutils.decimal_relative_time(d, d + datetime.timedelta(hours=30))


def daterange():
    import datetime

    return [str(d) for d in timeutils.daterange(datetime.date(2020, 1, 30), datetime.date(2020, 2, 3))]


def sentinel():
    return repr(typeutils.make_sentinel("MISSING", var_name="MISSING")), bool(typeutils.make_sentinel())


def url():
    u = urlutils.URL("http://user:pw@example.com:8080/a/b/../c?x=1&y=2#frag")
    u.normalize()
    return u.to_text(), u.host, u.port, u.query_params.items(multi=True), u.navigate("../d").to_text()


def find_urls():
    return [u.to_text() for u in urlutils.find_all_links("see http://a.com/x and example.org ok", with_text=False)]


def quote():
    return urlutils.quote_path_part("a b/c"), urlutils.unquote("a%20b"), urlutils.parse_qsl("a=1&b=%32")
