"""What there is to say against LogQL and TraceQL: by the list of what was accepted, else by the programs themselves."""

from monitoring.dashboards import judged


def objections(queries: judged.Queries) -> dict[str, str]:
    """By query. One that is not on the list needs a program, and without it is refused."""
    known = judged.recorded()
    new = {source: [query for query in found if query not in known[source]] for source, found in queries.items()}
    if missing := judged.missing():
        unknown = f"is not in accepted.json, which make queries writes, and {missing}"
        return {query: unknown for found in new.values() for query in found}
    return judged.judge(new)
