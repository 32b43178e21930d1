"""The peer that an ordinary team would write: FastAPI over PostgreSQL, POST memories and GET thermal.

A pool of prepared connections (asyncpg) in each uvicorn worker (uvloop, httptools). A POST commits before it is answered, with
synchronous_commit on. Thermal is one scan that counts and sums by steps of temperature, and the ten hottest by an index.
PEER_DSN names the database. As a program: fastapi_peer.py DSN MEMORIES.jsonl: makes the schema and takes the memories in.
"""
import asyncio
import json
import os
import sys
import uuid

import asyncpg

SCHEMA = """
CREATE TABLE memories (
    id uuid PRIMARY KEY, content text NOT NULL, tags text[] NOT NULL DEFAULT '{}', source text, importance float8 NOT NULL DEFAULT 0.5,
    sacred boolean NOT NULL DEFAULT false, access_count int NOT NULL DEFAULT 1, heat_key float8 NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), last_access timestamptz NOT NULL DEFAULT now());
CREATE INDEX memories_heat ON memories (heat_key DESC);
"""
# hot now = 40 + 10 * (heat_key - now / half-life), as the tribe has it: the order of heat_key is that of temperature
NOW = "extract(epoch FROM now()) / 604800.0"
TEMPERATURE = f"least(100.0, greatest(CASE WHEN sacred THEN 40.0 ELSE 0.0 END, 40.0 + 10.0 * (heat_key - {NOW})))"
THERMAL = f"""
SELECT least(19, floor(t / 5.0)::int) AS step, count(*) AS n, sum(t) AS total, count(*) FILTER (WHERE sacred) AS sacred,
       min(t) FILTER (WHERE sacred) AS coldest, count(*) FILTER (WHERE t >= 90.0) AS white_hot, count(*) FILTER (WHERE t >= 70.0 AND t < 90.0) AS red_hot,
       count(*) FILTER (WHERE t >= 30.0 AND t < 70.0) AS warm, count(*) FILTER (WHERE t >= 15.0 AND t < 30.0) AS cool,
       count(*) FILTER (WHERE t >= 5.0 AND t < 15.0) AS cold, count(*) FILTER (WHERE t < 5.0) AS ember
FROM (SELECT {TEMPERATURE} AS t, sacred FROM memories) AS warmth GROUP BY 1
"""
HOTTEST = f"SELECT id, content, {TEMPERATURE} AS temperature, created_at, access_count FROM memories ORDER BY heat_key DESC LIMIT 10"
ADD = f"INSERT INTO memories (id, content, tags, source, importance, heat_key) VALUES ($1, $2, $3, $4, $5, {NOW})"
STAGES = ("white_hot", "red_hot", "warm", "cool", "cold", "ember")
POOL = 16  # connections of a worker


async def fill(dsn, path):
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA)
        now = await connection.fetchval(f"SELECT {NOW}::float8")
        with open(path, encoding="utf-8") as f:
            await connection.copy_records_to_table("memories", columns=("id", "content", "heat_key"),
                                                   records=((uuid.uuid4(), json.loads(line)["content"], now) for line in f))
        await connection.execute("VACUUM ANALYZE memories")
    finally:
        await connection.close()


def application():
    from typing import List, Optional

    from fastapi import FastAPI
    from pydantic import BaseModel, Field

    class Memory(BaseModel):
        content: str = Field(min_length=1, max_length=65536)
        tags: List[str] = []
        source: Optional[str] = None
        importance: float = Field(0.5, ge=0, le=1)

    app = FastAPI()

    @app.on_event("startup")
    async def open_pool():
        app.state.pool = await asyncpg.create_pool(os.environ["PEER_DSN"], min_size=POOL, max_size=POOL)

    @app.on_event("shutdown")
    async def close_pool():
        await app.state.pool.close()

    @app.get("/healthz")
    async def healthz():
        return {"status": "ok"}

    @app.post("/api/v1/memories", status_code=201)
    async def remember(memory: Memory):
        name = uuid.uuid4()
        async with app.state.pool.acquire() as connection:  # one statement: its own transaction, durable when it returns
            await connection.execute(ADD, name, memory.content, memory.tags, memory.source, memory.importance)
        return {"memories": [{"id": str(name), "created": True, "temperature": 40.0, "stage": "warm"}]}

    @app.get("/api/v1/thermal")
    async def thermal():
        async with app.state.pool.acquire() as connection:
            steps, hottest = await connection.fetch(THERMAL), await connection.fetch(HOTTEST)
        n = sum(row["n"] for row in steps)
        return {"total_memories": n, "average_temperature": sum(row["total"] for row in steps) / n if n else None,
                "sacred_count": sum(row["sacred"] for row in steps),
                "sacred_min_temperature": min((row["coldest"] for row in steps if row["coldest"] is not None), default=None),
                "stages": {name: sum(row[name] for row in steps) for name in STAGES},
                "histogram": [{"from": 5.0 * row["step"], "count": row["n"]} for row in sorted(steps, key=lambda row: row["step"])],
                "hottest": [{"id": str(row["id"]), "content": row["content"], "temperature": row["temperature"],
                             "created_at": row["created_at"].isoformat(), "access_count": row["access_count"]} for row in hottest]}

    return app


if __name__ == "__main__":
    asyncio.run(fill(sys.argv[1], sys.argv[2]))
else:
    app = application()
