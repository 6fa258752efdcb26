"""The OpenAPI document: what each field may hold, and how each error looks."""

import httpx


async def test_every_field_of_the_api_says_what_it_may_hold_by_an_example(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    told = {"examples", "enum", "const", "default", "$ref", "format", "contentMediaType"}
    untold = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, about in schema["properties"].items()
        if not about.keys() & told
        and not str(about.get("items", about.get("additionalProperties", {}))).startswith("{'$ref'")
    ]
    assert {"ChatAnswer", "Job", "Report", "Problem"} <= schemas.keys()
    assert untold == []


async def test_the_openapi_document_describes_problems(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert "Problem" in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert "application/problem+json" in operation["responses"]["422"]["content"], (method, path)
