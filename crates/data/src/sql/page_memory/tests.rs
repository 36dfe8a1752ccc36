use super::UNRESERVED_BYTES_MAX;
use crate::sql::Sql;
use crate::store::Root;
use crate::table::Tables;

#[tokio::test]
async fn a_large_page_waits_for_the_memory_of_another_and_a_small_page_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path().join("tables").to_str().unwrap()).unwrap();
    // The memory of pages is that of one page.
    let sql = Sql::new(Tables::new(root), 64 << 20, folder.path(), 1).unwrap();
    let other = sql.pages.reserve().await.unwrap();
    let size = UNRESERVED_BYTES_MAX + 1;
    let text = format!("SELECT repeat('x', value) FROM range({size}, {size} + 1)");
    let large = sql.clone();
    let large = tokio::spawn(async move { large.page(&text, &[], 10).await });
    for _ in 0..50 {
        assert_eq!(sql.page("SELECT 1", &[], 10).await.unwrap().rows.len(), 1);
    }
    assert!(!large.is_finished(), "another page has the memory");
    drop(other);
    assert_eq!(large.await.unwrap().unwrap().rows.len(), 1);
}
