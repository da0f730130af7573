"""Calls to sqlparse for `benchmarks/history.py`."""

import sqlparse
from sqlparse import engine, filters, sql, tokens

SELECT = "select a, b as c, count(*) from t1 left join t2 on t1.id = t2.id where a > 1 and b in (1,2,3) order by c desc limit 5"
SCRIPT = (
    "create table foo (id int primary key, name varchar(20)); insert into foo values (1, 'a;b'); select * from foo;"
)
CASE = "select case when a = 1 then 'x' when a = 2 then 'y' else null end as k from (select * from t) s"


def _tree(statement, depth=0):
    found = []
    for token in statement.tokens:
        found.append((depth, type(token).__name__, str(token.ttype), str(token)[:20]))
        if token.is_group:
            found += _tree(token, depth + 1)
    return found


def format_default():
    return sqlparse.format(SELECT)


def format_reindent():
    return sqlparse.format(SELECT, reindent=True)


def format_reindent_upper():
    return sqlparse.format(SELECT, reindent=True, keyword_case="upper", identifier_case="upper")


def format_aligned():
    return sqlparse.format(SELECT, reindent_aligned=True)


def format_comma_first():
    return sqlparse.format(SELECT, reindent=True, comma_first=True)


def format_wrap():
    return sqlparse.format(SELECT, reindent=True, wrap_after=20)


def format_indent_tabs():
    return sqlparse.format(CASE, reindent=True, indent_tabs=True)


def format_case():
    return sqlparse.format(CASE, reindent=True)


def format_comments():
    return sqlparse.format("select 1 -- one\n, 2 /* two */ from t", strip_comments=True)


def format_whitespace():
    return sqlparse.format("select  a ,  b\n from   t", strip_whitespace=True)


def format_operators():
    return sqlparse.format("select a+b, c*d from t where x=1", use_space_around_operators=True)


def format_truncate():
    return sqlparse.format("select 'a long string indeed' from t", truncate_strings=6)


def format_python():
    return sqlparse.format("select 1; select 2", output_format="python")


def format_php():
    return sqlparse.format("select 1", output_format="php")


def format_columns():
    return sqlparse.format(SELECT, reindent=True, indent_columns=True)


def format_bad_option():
    try:
        return sqlparse.format(SELECT, keyword_case="foo")
    except Exception as error:
        return str(error)


def split_script():
    return sqlparse.split(SCRIPT)


def split_begin():
    return sqlparse.split("create function f() returns int as $$ begin return 1; end; $$ language plpgsql; select 1;")


def split_declare():
    return sqlparse.split("declare x int; begin select 1; end; select 2;")


def split_comments():
    return sqlparse.split("select 1; -- a; b\nselect 2; /* c; */ select 3")


def parse_select():
    return _tree(sqlparse.parse(SELECT)[0])


def parse_case():
    return _tree(sqlparse.parse(CASE)[0])


def parse_create():
    return _tree(sqlparse.parse(SCRIPT)[0])


def parse_insert():
    return _tree(sqlparse.parse(SCRIPT)[1])


def parse_function():
    return _tree(sqlparse.parse("select foo(a, bar(b)) over (partition by x) from t")[0])


def parse_types():
    return [
        s.get_type()
        for s in sqlparse.parse("select 1; update t set a=1; with x as (select 1) insert into y select 1; drop table z")
    ]


def parse_assignment():
    return _tree(sqlparse.parse("set x := 5; foo := bar + 1;")[0])


def parse_operators():
    return _tree(sqlparse.parse("select a->>'b', c::int, d||e, -1, 1e5 from t")[0])


def parse_json_array():
    return _tree(sqlparse.parse("select a[1][2], array[1,2] from t")[0])


def parse_identifiers():
    found = sqlparse.parse('select s.t.a x, "q u" as y, `z`, [w] from s.t as tt')[0]
    lists = [t for t in found.tokens if isinstance(t, sql.IdentifierList)]
    return [(i.get_name(), i.get_alias(), i.get_real_name(), i.get_parent_name()) for i in lists[0].get_identifiers()]


def parse_where():
    found = sqlparse.parse(SELECT)[0]
    where = [t for t in found.tokens if isinstance(t, sql.Where)]
    return [str(t) for t in where[0].flatten()]


def parse_cases():
    found = sqlparse.parse("case when 1 then 2 else 3 end")[0].tokens[0]
    return [([str(c) for c in cond or []], [str(v) for v in value]) for cond, value in found.get_cases()]


def token_navigation():
    found = sqlparse.parse("select a, b from t")[0]
    return str(found.token_first()), str(found.token_next(0)[1]), [str(t) for t in found.flatten() if t.is_keyword]


def token_match():
    token = sql.Token(tokens.Keyword, "FROM")
    return token.match(tokens.Keyword, "from"), token.match(tokens.Keyword, "f.*", regex=True), token.normalized


def token_types():
    return tokens.Keyword.DML in tokens.Keyword, tokens.Keyword in tokens.Keyword.DML, str(tokens.Name.Placeholder)


def lexer_tokens():
    return [(str(t), v) for t, v in sqlparse.lexer.tokenize("select * from \"a\" where x = 'it''s' and y = :p -- end")]


def lexer_numbers():
    return [(str(t), v) for t, v in sqlparse.lexer.tokenize("1 1.5 0x1F 1e-3 -7 .5 $1 ?")]


def lexer_names():
    return [(str(t), v) for t, v in sqlparse.lexer.tokenize("foo.bar @var #tmp $x$ [a b] `c` ä")]


def lexer_keywords():
    text = "inner join group by order by not null union all create or replace double precision"
    return [(str(t), v) for t, v in sqlparse.lexer.tokenize(text)]


def stack():
    found = engine.FilterStack()
    found.preprocess.append(filters.KeywordCaseFilter("upper"))
    return ["".join(str(t) for t in s.flatten()) for s in found.run("select 1 from t; drop table x")]


def stack_grouping():
    found = engine.FilterStack()
    found.enable_grouping()
    return [type(t).__name__ for s in found.run("select a.b c, 1 from t") for t in s.tokens]


def cte():
    return sqlparse.format("with a as (select 1), b as (select 2 from a) select * from a, b", reindent=True)


def union():
    return sqlparse.format("select 1 union all select 2 union select 3", reindent=True)


def joins():
    return sqlparse.format("select * from a cross join b natural join c full outer join d on x=y", reindent=True)


def values():
    return sqlparse.format("insert into t (a, b) values (1, 2), (3, 4)", reindent=True)


def window():
    return sqlparse.format("select row_number() over (partition by a order by b) from t", reindent=True)


def between():
    return sqlparse.format("select * from t where a between 1 and 2 and b like 'x%' or not c is null", reindent=True)
