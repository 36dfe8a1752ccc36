//! Which files are new, and which are known without anything being remembered of them.

use std::sync::Arc;

use perennial_core::ErrorCode;
use perennial_core::blob::BlobDigest;
use perennial_core::entity::{
    Dataset, DatasetKind, DatasetVersion, DatasetVersionOrigin, Load, LoadIntent, LoadOrigin, SourceFileRecord,
};
use perennial_core::id::{DatasetId, LoadId};
use perennial_core::port::data::Mode;
use perennial_core::schema::Schema;
use perennial_core::state::{LoadEvent, LoadState};
use perennial_ingest::collect::Collected;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;
use perennial_store::{datasets, loads, source_files};
use perennial_testkit::TestApp;
use serde_json::json;

/// An application whose dataset `flown` takes all new files together.
struct Batches {
    test: TestApp,
    project: Arc<ProjectState>,
    dataset: Dataset,
}

impl Batches {
    async fn start(source: &str) -> Self {
        let test = TestApp::start().await.unwrap();
        let text = format!(
            "[project]\nname = \"flights\"\n\n[datasets.flown]\nsource = {{ files = \"*.csv\", {source} }}\nmode = \"append\"\n"
        );
        let project = test.submit(&text).await.unwrap();
        let dataset = Dataset {
            id: DatasetId::generate(),
            project_id: project.id,
            name: "flown".parse().unwrap(),
            kind: DatasetKind::Table,
            mode: Mode::Append,
            key_columns: Vec::new(),
            table_path: "flown".to_owned(),
            last_number: 0,
            created_ms: 0,
        };
        let inserted = dataset.clone();
        let store = test.app.kernel.store();
        store.write(move |tx| Box::pin(async move { Ok(datasets::insert(tx, &inserted).await?) })).await.unwrap();
        Self { test, project, dataset }
    }

    /// A load of these files, each with its content, that nothing is remembered of but itself.
    async fn loaded(&self, state: LoadState, files: &[(&str, &str)]) -> LoadId {
        let contents: Vec<String> = files.iter().map(|(_, text)| digest(text)).collect();
        let load = Load {
            id: LoadId::generate(),
            project_id: self.project.id,
            dataset_id: self.dataset.id,
            origin: LoadOrigin::Batch,
            origin_id: None,
            source_path: Some(files.iter().map(|(path, _)| *path).collect::<Vec<_>>().join("\n")),
            content_digest: Some(match contents.as_slice() {
                [one] => one.clone(),
                many => digest(&many.join("\n")),
            }),
            size_bytes: Some(1),
            state,
            arrived: 1,
            passing: 1,
            set_aside: 0,
            reasons: json!({}),
            staged: None,
            message: None,
            replaces: None,
            replaced_by: None,
            number: (state == LoadState::Committed).then_some(1),
            cause: None,
            wall_ms: 0,
            project_ms: 0,
            settled_ms: Some(0),
        };
        let id = load.id;
        let store = self.test.app.kernel.store();
        store.write(move |tx| Box::pin(async move { Ok(loads::insert(tx, &load).await?) })).await.unwrap();
        id
    }

    fn offer(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            self.test.data.offer(path, text);
        }
    }

    async fn collect(&self) -> Collected {
        let caller: Caller = self.test.system();
        let submission = self.project.submission().unwrap();
        self.test.app.ingest.collect(&caller, &self.project, &submission, &|_| {}).await.unwrap()
    }

    /// Why collecting failed.
    async fn failed(&self) -> (ErrorCode, String) {
        let mut collected = self.collect().await;
        let (_, error) = collected.failed.pop().expect("collecting fails");
        (error.code(), error.message().to_owned())
    }

    /// What is remembered of the files: path, content and load.
    async fn known(&self) -> Vec<(String, String, Option<LoadId>)> {
        let mut reader = self.test.app.kernel.store().read().await.unwrap();
        let known = source_files::list(&mut reader, self.dataset.id).await.unwrap();
        known.into_iter().map(|file: SourceFileRecord| (file.path, file.content_digest, file.load_id)).collect()
    }
}

fn digest(text: &str) -> String {
    BlobDigest::of(text.as_bytes()).to_string()
}

const BOTH: [(&str, &str); 2] = [("a.csv", "1"), ("b.csv", "2")];

#[tokio::test]
async fn files_that_came_together_are_known_again_when_nothing_is_remembered_of_them() {
    let app = Batches::start("batch = \"all\"").await;
    let load = app.loaded(LoadState::Committed, &BOTH).await;
    app.offer(&BOTH);
    assert!(app.collect().await.is_idle());
    let expected = BOTH.map(|(path, text)| (path.to_owned(), digest(text), Some(load)));
    assert_eq!(app.known().await, expected, "and remembered from now on");
    assert!(app.collect().await.is_idle());
}

#[tokio::test]
async fn one_of_them_is_known_again_by_what_is_remembered_of_the_other() {
    let app = Batches::start("batch = \"all\"").await;
    let load = app.loaded(LoadState::Committed, &BOTH).await;
    app.offer(&BOTH);
    assert!(app.collect().await.is_idle());
    let id = app.dataset.id;
    let store = app.test.app.kernel.store();
    store.write(move |tx| Box::pin(async move { Ok(source_files::delete(tx, id, "a.csv").await?) })).await.unwrap();
    assert!(app.collect().await.is_idle());
    assert_eq!(app.known().await[0], ("a.csv".to_owned(), digest("1"), Some(load)));
}

#[tokio::test]
async fn a_changed_file_of_several_is_refused_by_name() {
    let app = Batches::start("batch = \"all\"").await;
    app.loaded(LoadState::Committed, &BOTH).await;
    app.offer(&[("a.csv", "1"), ("b.csv", "3")]);
    let (code, message) = app.failed().await;
    assert_eq!(code, ErrorCode::FileChanged);
    assert!(message.contains(".csv"), "{message}");
}

#[tokio::test]
async fn a_changed_file_keeps_no_other_from_being_loaded() {
    let app = Batches::start("batch = \"file\"").await;
    app.loaded(LoadState::Committed, &BOTH[..1]).await;
    app.offer(&[("a.csv", "9"), ("b.csv", "2")]);
    let failed: Vec<ErrorCode> = app.collect().await.failed.iter().map(|(_, error)| error.code()).collect();
    // The engine of the tests keeps no rows: that it is asked to is the point.
    assert_eq!(failed, [ErrorCode::FileChanged, ErrorCode::NotReady]);
}

#[tokio::test]
async fn a_file_that_failed_or_never_came_is_new() {
    let app = Batches::start("batch = \"all\"").await;
    app.loaded(LoadState::Failed, &BOTH).await;
    app.offer(&BOTH);
    // The engine of the tests keeps no rows: that it is asked to is the point.
    assert_eq!(app.failed().await.0, ErrorCode::NotReady);
}

#[tokio::test]
async fn a_load_whose_rows_are_gone_before_its_commit_is_given_up_and_its_file_comes_again() {
    let app = Batches::start("batch = \"all\"").await;
    let load = app.loaded(LoadState::Committed, &BOTH).await;
    app.offer(&BOTH);
    assert!(app.collect().await.is_idle());
    // As a server leaves it that dies between the intent and the commit.
    let cut_off = app.loaded(LoadState::Staged, &[("c.csv", "3")]).await;
    app.offer(&[("c.csv", "3")]);
    let version = DatasetVersion {
        dataset_id: app.dataset.id,
        number: 1,
        project_id: app.project.id,
        delta_version: None,
        manifest: None,
        row_count: 1,
        size_bytes: 0,
        schema: Schema::default(),
        digest: "d".to_owned(),
        row_sum: None,
        origin_kind: DatasetVersionOrigin::Load,
        origin_id: cut_off.to_string(),
        wall_ms: 0,
        project_ms: 0,
    };
    let intent = LoadIntent {
        dataset_id: app.dataset.id,
        load_id: cut_off,
        project_id: app.project.id,
        number: 1,
        version,
        holder: "gone".to_owned(),
        created_ms: 0,
    };
    let seen = SourceFileRecord {
        dataset_id: app.dataset.id,
        path: "c.csv".to_owned(),
        size_bytes: 1,
        modified_ns: Some(0),
        etag: None,
        content_digest: digest("3"),
        load_id: Some(cut_off),
        seen_ms: 0,
    };
    let store = app.test.app.kernel.store();
    store
        .write(move |tx| {
            Box::pin(async move {
                loads::begin(tx, &intent, LoadEvent::Begin, 0).await?;
                Ok(source_files::upsert(tx, &seen).await?)
            })
        })
        .await
        .unwrap();
    // The engine of the tests keeps no rows: it lacks those of the load, and refuses to stage the file anew.
    assert_eq!(app.failed().await.0, ErrorCode::NotReady);
    let given_up = loads::get(&mut store.read().await.unwrap(), cut_off).await.unwrap();
    assert_eq!(given_up.state, LoadState::Failed);
    assert!(given_up.message.unwrap().contains("is not staged"));
    let kept = app.known().await;
    assert_eq!(kept.iter().map(|(_, _, of)| *of).collect::<Vec<_>>(), [Some(load); 2], "{kept:?}");
}

#[tokio::test]
async fn a_changed_file_that_may_change_or_is_held_is_loaded_again() {
    let replacing = Batches::start("batch = \"all\", on_change = \"replace\"").await;
    replacing.loaded(LoadState::Committed, &BOTH).await;
    replacing.offer(&[("a.csv", "1"), ("b.csv", "3")]);
    assert_eq!(replacing.failed().await.0, ErrorCode::NotReady);
    let held = Batches::start("batch = \"all\"").await;
    held.loaded(LoadState::Held, &BOTH).await;
    held.offer(&BOTH);
    assert!(held.collect().await.is_idle(), "the same content stays held");
    held.offer(&[("b.csv", "33")]);
    assert_eq!(held.failed().await.0, ErrorCode::NotReady);
}
