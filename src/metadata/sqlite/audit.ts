/**
 * The books of the store against its rows: everything that is kept twice, so that it is quick to read, counted anew. It
 * reads every row, for the doctor.
 * @module
 */
import type { Connection } from "./connection.ts";

/** Sentences of one kind. */
const sentencesMax = 100;

interface Fault {
  readonly name: string;
  readonly says: number;
  readonly is: number;
}

/** A question that has an answer for each thing that is wrong, and what the answer means. */
interface Question {
  readonly sql: string;
  readonly sentence: (fault: Fault) => string;
}

/** What points into objects, in rows (those on their way out count still) and in delayed messages. */
const references = `
  SELECT object_id, count(*) AS messages, sum(coalesce(stored_length, body_length)) AS bytes FROM messages
    WHERE object_id <> 0 GROUP BY object_id
  UNION ALL
  SELECT object_id, count(*), sum(coalesce(stored_length, body_length)) FROM delayed
    WHERE object_id <> 0 GROUP BY object_id`;
const counted = `(SELECT object_id, sum(messages) AS messages, sum(bytes) AS bytes FROM (${references})
  GROUP BY object_id)`;

const questions: readonly Question[] = [
  {
    sql: `SELECT o.name, o.messages AS says, coalesce(c.messages, 0) AS "is" FROM objects o
      LEFT JOIN ${counted} c ON c.object_id = o.id WHERE o.messages <> coalesce(c.messages, 0)`,
    sentence: ({ name, says, is }) => `the object ${name} counts ${says} messages, ${is} point into it`,
  },
  {
    sql: `SELECT o.name, o.alive_bytes AS says, coalesce(c.bytes, 0) AS "is" FROM objects o
      LEFT JOIN ${counted} c ON c.object_id = o.id WHERE o.alive_bytes <> coalesce(c.bytes, 0)`,
    sentence: ({ name, says, is }) => `the object ${name} counts ${says} bytes as used, its messages use ${is}`,
  },
  {
    sql: `SELECT CAST(c.object_id AS TEXT) AS name, 0 AS says, c.messages AS "is" FROM ${counted} c
      WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.id = c.object_id)`,
    sentence: ({ name, is }) => `${is} messages point into the object number ${name}, which is not known`,
  },
  {
    sql: `SELECT o.name, 1 AS says, o.messages AS "is" FROM objects o
      JOIN dead_objects d ON d.name = o.name WHERE o.messages > 0 AND d.taken_until_ms > 0`,
    sentence: ({ name, is }) => `the object ${name} is being deleted, and ${is} messages point into it`,
  },
  {
    sql: `SELECT s.name, 0 AS says, count(*) AS "is" FROM messages m JOIN subjects s ON s.id = m.subject_id
      WHERE m.object_id <> 0 AND m.sequence >= s.first_sequence AND NOT EXISTS (
        SELECT 1 FROM spans p WHERE p.object_id = m.object_id AND p.subject_id = m.subject_id
          AND p.first_sequence <= m.sequence AND p.last_sequence >= m.sequence)
      GROUP BY s.id`,
    sentence: ({ name, is }) => `${is} messages of ${name} are in no span of their objects`,
  },
  {
    sql: `SELECT s.name, s.gone_messages AS says,
        s.last_sequence - s.first_sequence + 1 - (SELECT count(*) FROM messages m
          WHERE m.subject_id = s.id AND m.sequence BETWEEN s.first_sequence AND s.last_sequence) AS "is"
      FROM subjects s WHERE says <> "is"`,
    sentence: ({ name, says, is }) => `${name} counts ${says} messages as gone from its middle, ${is} are not there`,
  },
  {
    sql: `SELECT s.name, s.gone_messages AS says, coalesce(sum(g.messages), 0) AS "is" FROM subjects s
      LEFT JOIN gone_blocks g ON g.subject_id = s.id GROUP BY s.id HAVING says <> "is"`,
    sentence: ({ name, says, is }) => `${name} counts ${says} messages as gone from its middle, its blocks ${is}`,
  },
  {
    sql: `SELECT s.name, s.gone_bytes AS says, coalesce(sum(g.bytes), 0) AS "is" FROM subjects s
      LEFT JOIN gone_blocks g ON g.subject_id = s.id GROUP BY s.id HAVING says <> "is"`,
    sentence: ({ name, says, is }) => `${name} counts ${says} bytes as gone from its middle, its blocks ${is}`,
  },
  {
    sql: `SELECT c.subject || ' ' || c.name AS name, c.held AS says, count(p.sequence) AS "is" FROM consumers c
      LEFT JOIN pending p ON p.consumer_id = c.id GROUP BY c.id HAVING says <> "is"`,
    sentence: ({ name, says, is }) => `the consumer ${name} counts ${says} messages as under way, ${is} are`,
  },
];

/** What does not agree, a sentence each. */
export const auditOf = (connection: Connection): readonly string[] => {
  const sentences: string[] = [];
  for (const { sql, sentence } of questions) {
    const statement = connection.prepare<Fault, []>(sql);
    let others = 0;
    let told = 0;
    for (const fault of statement.iterate()) {
      if (told++ < sentencesMax) sentences.push(sentence(fault));
      else others++;
    }
    if (others > 0) sentences.push(`and ${others} more like that`);
  }
  return sentences;
};
