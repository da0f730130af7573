"""Calls to more-itertools for `benchmarks/history.py`."""

import more_itertools as mi


def adjacent():
    return list(mi.adjacent(lambda x: x == 3, range(6)))


def all_equal():
    return mi.all_equal("aaaab"), mi.all_equal("aaa")


def always_iterable():
    return list(mi.always_iterable("foo")), list(mi.always_iterable([1, 2]))


def batched():
    return list(mi.batched("ABCDEFG", 3))


def bucket():
    found = mi.bucket(["a1", "b1", "c1", "a2", "b2"], key=lambda x: x[0])
    return sorted(found), list(found["a"])


def chunked():
    return list(mi.chunked(range(10), 3)), list(mi.chunked_even(range(10), 4))


def circular_shifts():
    return list(mi.circular_shifts([1, 2, 3, 4]))


def collapse():
    return list(mi.collapse([(1, 2), [[3, 4], [[5], [6]]]]))


def consecutive_groups():
    return [list(g) for g in mi.consecutive_groups([1, 10, 11, 12, 20, 30, 31])]


def consume_and_nth():
    it = iter(range(10))
    mi.consume(it, 3)
    return next(it), mi.nth(range(10), 4), mi.nth(range(3), 7, "none")


def convolve():
    return list(mi.convolve((1, -1, -20), (1, -3)))


def count_cycle():
    return list(mi.count_cycle("AB", 3))


def difference():
    return list(mi.difference([1, 3, 6, 10]))


def distinct_permutations():
    return sorted(mi.distinct_permutations([1, 0, 1]))


def distribute():
    return [list(part) for part in mi.distribute(3, range(8))]


def divide():
    return [list(part) for part in mi.divide(3, range(8))]


def factor():
    return list(mi.factor(99_999)), list(mi.sieve(30))


def first_last():
    return mi.first([1, 2]), mi.last([1, 2]), mi.first([], "default"), mi.only([5])


def flatten():
    return list(mi.flatten([[0, 1], [2, 3]]))


def grouper():
    return list(mi.grouper("ABCDEFG", 3, fillvalue="x"))


def groupby_transform():
    return [(k, list(g)) for k, g in mi.groupby_transform("AaaABbBCcA", str.upper, str.lower)]


def ichunked():
    return [list(c) for c in mi.ichunked(range(7), 3)]


def interleave():
    return list(mi.interleave([1, 2, 3], [4, 5], [6, 7, 8])), list(mi.interleave_longest([1, 2, 3], [4, 5]))


def intersperse():
    return list(mi.intersperse("!", [1, 2, 3, 4, 5])), list(mi.intersperse(None, [1, 2, 3], n=2))


def islice_extended():
    return list(mi.islice_extended(range(10), -4, -1)), list(mi.islice_extended(range(10))[6:2:-1])


def locate():
    return list(mi.locate([0, 1, 1, 0, 1])), list(mi.rlocate([0, 1, 1, 0, 1]))


def map_reduce():
    return dict(mi.map_reduce("abbccc", str.upper, lambda v: 1, sum))


def minmax():
    return mi.minmax([3, 1, 2]), mi.minmax([5])


def numeric_range():
    return list(mi.numeric_range(3.5)), list(mi.numeric_range(1, 10, 3)), len(mi.numeric_range(5))


def pairwise():
    return list(mi.pairwise(range(5))), list(mi.triplewise("ABCDE"))


def partition():
    return [list(part) for part in mi.partition(lambda x: x % 2, range(8))]


def peekable():
    p = mi.peekable([1, 2, 3])
    p.prepend(0)
    return p.peek(), p[1], list(p), bool(p)


def powerset():
    return list(mi.powerset([1, 2, 3]))


def product_index():
    return mi.product_index([8, 2], range(10), range(5)), mi.combination_index("afg", "abcdefg")


def replace():
    return list(mi.replace([1, 1, 0, 1], lambda x: x == 0, (2, 3)))


def roundrobin():
    return list(mi.roundrobin("ABC", "D", "EF"))


def run_length():
    return list(mi.run_length.encode("abbcccdddd")), list(mi.run_length.decode([("a", 2), ("b", 1)]))


def seekable():
    s = mi.seekable(str(n) for n in range(5))
    first = next(s), next(s)
    s.seek(0)
    return first, list(s)


def set_partitions():
    return list(mi.set_partitions("abc", 2))


def side_effect():
    log = []
    return list(mi.side_effect(log.append, range(3))), log


def sliced_split():
    return list(mi.sliced((1, 2, 3, 4, 5), 2)), list(mi.split_at("abcdcba", lambda c: c == "b"))


def sliding_window():
    return list(mi.sliding_window(range(6), 4)), list(mi.windowed([1, 2, 3, 4, 5], 3, step=2))


def sort_together():
    return mi.sort_together([(4, 3, 2, 1), "abcd"])


def split_into():
    return list(mi.split_into(range(7), [2, None])), list(mi.split_when([1, 2, 3, 3, 2], lambda x, y: y < x))


def spy():
    head, rest = mi.spy("abcdef", 3)
    return head, list(rest)


def stagger():
    return list(mi.stagger([0, 1, 2, 3])), list(mi.zip_offset([0, 1, 2], "abc", offsets=(0, 1)))


def strip():
    return list(mi.strip([0, 0, 1, 2, 0], lambda x: x == 0)), list(mi.lstrip([0, 1], lambda x: x == 0))


def substrings():
    return ["".join(s) for s in mi.substrings("more")], list(mi.substrings_indexes("ab"))


def unique():
    return list(mi.unique_everseen("AAAABBBCCDAABBB")), list(mi.unique_justseen("AAAABBBCC"))


def zip_equal():
    return list(mi.zip_equal([1, 2], "ab"))


def zip_broadcast():
    return list(mi.zip_broadcast(1, [2, 3]))


def matmul_polynomials():
    return list(mi.polynomial_from_roots([5, -4, 3])), mi.polynomial_eval([1, -4, -17, 60], 3)


def before_and_after():
    left, right = mi.before_and_after(str.isupper, "ABCdEfGhI")
    return "".join(left), "".join(right)
