/**
 * The part of a schema upgrade that is more than SQL: what objects hold, and where, for a database that did not count
 * it yet. It reads every message once, a slice at a time, so that memory stays bounded.
 * @module
 */
import type { Database } from "bun:sqlite";

const sliceRows = 50_000;

interface HeldRow {
  readonly object_id: number;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly end: number;
  readonly newest: number;
}

/**
 * Counts the bytes of objects and notes their spans. What was deleted before is not known: an object is taken to be as
 * long as what is left in it reaches.
 */
export const fillAccounting = (db: Database): void => {
  const lowest = db.prepare<{ readonly sequence: number }, [number, number]>(
    "SELECT sequence FROM messages WHERE subject_id = ? AND sequence >= ? ORDER BY sequence LIMIT 1",
  );
  const slice = db.prepare<HeldRow, [number, number, number]>(
    `SELECT object_id, min(sequence) AS first, max(sequence) AS last, max(timestamp) AS newest,
       sum(coalesce(stored_length, body_length)) AS bytes,
       max(body_offset + coalesce(stored_length, body_length)) AS "end"
     FROM messages WHERE subject_id = ? AND sequence BETWEEN ? AND ? AND object_id <> 0 GROUP BY object_id`,
  );
  const count = db.prepare<unknown, [number, number, number, number]>(
    `UPDATE objects SET alive_bytes = alive_bytes + ?1, bytes = max(alive_bytes + ?1, bytes, ?2),
       committed_at = max(committed_at, ?3) WHERE id = ?4`,
  );
  const span = db.prepare<unknown, [number, number, number, number]>("INSERT INTO spans VALUES (?, ?, ?, ?)");
  const subjects = db.query<{ readonly id: number }, []>("SELECT id FROM subjects ORDER BY id").all();
  for (const { id } of subjects) {
    // Rows below the subject's first are still on their way out and counted.
    let from = lowest.get(id, 0)?.sequence;
    while (from !== undefined) {
      const through = from + sliceRows - 1;
      for (const { object_id, first, last, bytes, end, newest } of slice.all(id, from, through)) {
        count.run(bytes, end, newest, object_id);
        span.run(object_id, id, first, last);
      }
      from = lowest.get(id, through + 1)?.sequence;
    }
  }
  db.run("UPDATE objects SET digits = length(bytes)");
  for (const statement of [lowest, slice, count, span]) statement.finalize();
};
