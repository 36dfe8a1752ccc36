//! The ledger: chains of entries, their heads and their erasable payloads.

use perennial_core::ledger::{self, BrokenChain, Chain, Entry, Head, Record as Change, Report, Stamp, Verifier};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::page::{Page, rows_for};
use crate::recorded_rows;
use crate::row::{Record, Row};

impl Record for Entry {
    const TABLE: &'static str = "ledger_entries";
    const KEY: &'static [&'static str] = &["chain", "sequence"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            chain: row.get("chain")?,
            sequence: row.get("sequence")?,
            noun: row.get("noun")?,
            subject: row.get("subject")?,
            verb: row.get("verb")?,
            actor: row.get("actor")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
            cause: row.get("cause")?,
            payload_digest: row.get("payload_digest")?,
            previous: row.get("previous")?,
            hash: row.get("hash")?,
        })
    }
}

impl Record for Head {
    const TABLE: &'static str = "ledger_chains";
    const KEY: &'static [&'static str] = &["chain"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { sequence: row.get("sequence")?, hash: row.get("hash")? })
    }
}

struct Payload(Option<String>);

impl Record for Payload {
    const TABLE: &'static str = "ledger_payloads";
    const KEY: &'static [&'static str] = &["chain", "sequence"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self(row.get("body")?))
    }
}

/// Entries read at once while a chain is verified.
const VERIFY_STEP: i64 = 1_000;

impl Tx {
    /// Records a change: locks the head of its chain, so that commit order is chain order, hashes, inserts.
    /// Nothing but further entries may be written afterwards in this transaction; with entries on both the
    /// server's chain and a project's, the server's comes first.
    pub async fn ledger_append(&mut self, change: Change) -> Result<Entry> {
        let chain = change.chain;
        let mut head = lock_head(self, chain).await?;
        if head.is_none() {
            let values = bind![chain, 0_i64, ledger::GENESIS];
            self.execute_entry(sql!("ledger/insert_chain"), values).await?;
            head = lock_head(self, chain).await?;
        }
        let head = head.unwrap_or_else(Head::empty);
        let payload = change.payload.clone();
        let entry = Entry::after(&head, change);
        let values = bind![
            entry.chain,
            entry.sequence,
            entry.noun,
            entry.subject,
            entry.verb,
            entry.actor,
            entry.wall_ms,
            entry.project_ms,
            entry.cause,
            entry.payload_digest,
            entry.previous,
            entry.hash
        ];
        self.execute_entry(sql!("ledger/insert"), values).await?;
        self.execute_entry(sql!("ledger/insert_payload"), bind![entry.chain, entry.sequence, payload]).await?;
        self.execute_entry(sql!("ledger/set_head"), bind![entry.chain, entry.sequence, entry.hash]).await?;
        Ok(entry)
    }
}

/// Reads the head of a chain and keeps others from moving it until the transaction ends.
async fn lock_head(tx: &mut Tx, chain: Chain) -> Result<Option<Head>> {
    tx.optional(sql_split!("ledger/lock_head"), bind![chain]).await
}

/// Where a chain stands.
pub async fn head(conn: &mut Conn, chain: Chain) -> Result<Head> {
    let head = conn.optional(sql!("ledger/head"), bind![chain]).await?;
    Ok(head.unwrap_or_else(Head::empty))
}

/// Entries before a sequence (`None`: the newest), newest first.
pub async fn list(conn: &mut Conn, chain: Chain, before: Option<i64>, limit: u32) -> Result<Page<Entry>> {
    let (before, rows) = (before.unwrap_or(i64::MAX), rows_for(limit));
    let values = bind![chain, before, rows];
    let items = conn.all(list_sql!("ledger/list"), values).await?;
    Ok(Page::cut(items, limit, |entry: &Entry| entry.sequence.to_string()))
}

/// The newest `limit` entries about one thing, newest first.
pub async fn list_of_subject(
    conn: &mut Conn,
    chain: Chain,
    noun: &str,
    subject: &str,
    limit: u32,
) -> Result<Vec<Entry>> {
    conn.all(list_sql!("ledger/list_of_subject"), bind![chain, noun, subject, i64::from(limit)]).await
}

/// Whether a chain has an entry about one thing.
pub async fn has_subject(conn: &mut Conn, chain: Chain, noun: &str, subject: &str) -> Result<bool> {
    Ok(conn.scalar::<i64>(sql!("ledger/has_subject"), bind![chain, noun, subject]).await?.is_some())
}

/// The payload of an entry; `None` when it was erased.
pub async fn find_payload(conn: &mut Conn, chain: Chain, sequence: i64) -> Result<Option<String>> {
    let payload: Option<Payload> = conn.optional(sql!("ledger/find_payload"), bind![chain, sequence]).await?;
    Ok(payload.and_then(|payload| payload.0))
}

/// Erases the payload of an entry; the entry stays. The caller records the erasure in the same transaction, as an
/// [`ERASURE`](ledger::ERASURE): without, the chain does not verify.
pub async fn erase_payload(tx: &mut Tx, chain: Chain, sequence: i64, at_ms: i64) -> Result<()> {
    let name = format!("{chain}/{sequence}");
    tx.update(sql!("ledger/erase_payload"), bind![chain, sequence, at_ms], "ledger entry", name).await
}

/// The project chains that have grown since they were stamped, with their heads.
pub async fn list_unstamped(conn: &mut Conn) -> Result<Vec<(Chain, Head)>> {
    conn.all(list_sql!("ledger/list_unstamped"), bind![]).await
}

/// Notes that a chain was stamped up to a sequence. Not evidence: the stamp itself is an entry.
pub async fn set_stamped(tx: &mut Tx, chain: Chain, sequence: i64) -> Result<()> {
    tx.execute(sql!("ledger/set_stamped"), bind![chain, sequence]).await?;
    Ok(())
}

impl Record for (Chain, Head) {
    const TABLE: &'static str = "ledger_chains";
    const KEY: &'static [&'static str] = &["chain"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok((row.get("chain")?, Head::read(row)?))
    }
}

/// The newest stamp of a project's chain on the server's.
async fn stamp_of(conn: &mut Conn, chain: Chain) -> Result<Option<Stamp>> {
    let Chain::Project(project) = chain else { return Ok(None) };
    let newest = list_of_subject(conn, Chain::Server, ledger::STAMP.0, &project.to_string(), 1).await?;
    let Some(entry) = newest.first() else { return Ok(None) };
    let payload = find_payload(conn, Chain::Server, entry.sequence).await?;
    Ok(payload.and_then(|payload| serde_json::from_str(&payload).ok()))
}

/// Every chain there is.
pub async fn list_chains(conn: &mut Conn) -> Result<Vec<Chain>> {
    let rows: Vec<ChainRow> = conn.all(list_sql!("ledger/list_chains"), bind![]).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

struct ChainRow(Chain);

impl Record for ChainRow {
    const TABLE: &'static str = "ledger_chains";
    const KEY: &'static [&'static str] = &["chain"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self(row.get("chain")?))
    }
}

/// Verifies a chain as it stands: entries, payloads, recorded head, the newest stamp on the server's chain, the rows that
/// its entries record, and with `head` that it continues that one.
pub async fn verify(conn: &mut Conn, chain: Chain, wanted: Option<&str>) -> Result<Result<Report, BrokenChain>> {
    // Read before the head: what is stamped meanwhile is beyond it.
    let stamp = stamp_of(conn, chain).await?;
    // Read before the entries: what is appended meanwhile is beyond it.
    let recorded = head(conn, chain).await?;
    let mut verifier = Verifier::new(wanted).stamped(stamp);
    let mut after = 0;
    loop {
        let values = bind![chain, after, recorded.sequence, VERIFY_STEP];
        let entries: Vec<(Entry, Payload)> = conn.all(list_sql!("ledger/list_with_payload"), values).await?;
        let Some((last, _)) = entries.last() else {
            break;
        };
        after = last.sequence;
        for (entry, payload) in &entries {
            let taken = verifier.entry(entry).and_then(|()| verifier.payload(entry, payload.0.as_deref()));
            if let Err(broken) = taken {
                return Ok(Err(broken));
            }
        }
    }
    let (report, project) = match (verifier.finish(Some(&recorded)), chain) {
        (Ok(report), Chain::Project(project)) => (report, project),
        (finished, _) => return Ok(finished),
    };
    let rows = recorded_rows::verify(conn, project, report.head.sequence).await?;
    Ok(rows.map(|rows| Report { rows, ..report }))
}

impl Record for (Entry, Payload) {
    const TABLE: &'static str = "ledger_entries";
    const KEY: &'static [&'static str] = &["chain", "sequence"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok((Entry::read(row)?, Payload::read(row)?))
    }
}
