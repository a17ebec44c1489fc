"""What was cut for Loop, by whose lines it was."""

from typing import Any

from sqlalchemy import Connection, text

# Once for each entry: its journal, and its cuts by number of line. Once for each line, before they
# are sorted: what is shown of it, and not its entry's. Otherwise a long entry would take the square
# of its length. An auxiliary code that was cut stands in the cuts as it was normalised, others are
# told as the hub writes them.
_CUTS = text("""
WITH entry AS MATERIALIZED (
    SELECT e.id, e.entry -> 'lines' AS lines, e.entry -> 'journal' ->> 'code' AS journal,
           cut.texts, cut.codes
    FROM entries e CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(one ->> 'line', one) FILTER (
                   WHERE one ->> 'field' = 'description') AS texts,
               jsonb_object_agg(one ->> 'line', one) FILTER (
                   WHERE one ->> 'field' = 'auxiliary.code') AS codes
        FROM jsonb_array_elements(e.cuts) one) cut
    WHERE e.firm_id = (SELECT firm_id FROM folders WHERE id = :folder_id)
      AND e.folder_id = :folder_id AND e.received_at > now() - interval '1 year'
      AND e.state NOT IN ('superseded', 'discarded')
), line AS (
    SELECT id, number, line -> 'auxiliary' AS auxiliary, journal,
           texts -> CAST(number - 1 AS text) AS cut, codes -> CAST(number - 1 AS text) AS code
    FROM entry, jsonb_array_elements(lines) WITH ORDINALITY AS one(line, number)
), told AS MATERIALIZED (
    SELECT id, number, coalesce(code ->> 'from', auxiliary ->> 'code') AS auxiliary,
           auxiliary ->> 'label' AS label, CASE WHEN auxiliary IS NULL THEN journal END AS journal,
           code ->> 'to' AS short, cut ->> 'from' AS whole, cut ->> 'to' AS rest
    FROM line
)
SELECT auxiliary, (array_agg(label ORDER BY id DESC) FILTER (WHERE label <> ''))[1] AS label,
       journal, max(short) AS short, count(*) AS lines, count(whole) AS cut,
       round(count(whole)::numeric / count(*), 3)::float AS share, max(length(whole)) AS longest,
       (array_agg(whole ORDER BY id DESC, number) FILTER (WHERE whole IS NOT NULL))[1] AS "from",
       (array_agg(rest ORDER BY id DESC, number) FILTER (WHERE whole IS NOT NULL))[1] AS "to"
FROM told GROUP BY auxiliary, journal HAVING count(whole) > 0 OR count(short) > 0
ORDER BY cut DESC, lines DESC, auxiliary, journal
""")


def cuts(connection: Connection, folder_id: int) -> list[dict[str, Any]]:
    """By third party, or by journal where a line has none, of the last year as far as its
    contents are kept; most cuts first.

    Of each: the code that it is cut to, if it is (`short`); lines sent or to be sent; of how many
    the description was cut, that share of all, the longest before; the latest, before and after.
    """
    return [dict(row) for row in connection.execute(_CUTS, {"folder_id": folder_id}).mappings()]
