//! Meilisearch: requests, tasks and the settings of indexes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use meilisearch_sdk::client::{Client, SwapIndexes};
use meilisearch_sdk::documents::DocumentDeletionQuery;
use meilisearch_sdk::request::{HttpClient, Method};
use meilisearch_sdk::tasks::TasksCancelQuery;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use verbatim_core::ports::PortResult;

use crate::config::Config;
use crate::settings::{self, Mark, Setup};
use crate::transport::Http;
use crate::trouble::{Refusal, Trouble};

/// The first and the longest wait between two looks at a task.
const LOOKS: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(100));

/// One Meilisearch.
pub(crate) struct Server {
    pub(crate) client: Client<Http>,
    pub(crate) http: Http,
    task_timeout: Duration,
}

/// A task that was taken.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Enqueued {
    task_uid: u64,
}

#[derive(Deserialize)]
struct Task {
    status: String,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Tasks {
    results: Vec<Running>,
}

#[derive(Deserialize)]
struct Running {
    uid: u64,
}

impl Server {
    pub(crate) fn new(config: &Config) -> PortResult<Self> {
        let http = Http::new(config)?;
        // The key travels with the transport.
        let client = Client::new_with_client(config.address(), None::<String>, http.clone());
        Ok(Self { client, http, task_timeout: config.task_timeout })
    }

    pub(crate) fn address(&self) -> &str {
        self.client.get_host()
    }

    pub(crate) async fn get<T: DeserializeOwned + Send + 'static>(&self, path: &str) -> Result<T, Trouble> {
        let url = format!("{}{path}", self.address());
        Ok(self.http.request::<(), (), T>(&url, Method::Get { query: () }, 200).await?)
    }

    async fn patch<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        body: Value,
        expected: u16,
    ) -> Result<T, Trouble> {
        let url = format!("{}{path}", self.address());
        Ok(self.http.request::<(), Value, T>(&url, Method::Patch { query: (), body }, expected).await?)
    }

    /// Its version.
    pub(crate) async fn version(&self) -> Result<String, Trouble> {
        Ok(self.client.get_version().await?.pkg_version)
    }

    /// Has the CONTAINS operator allowed, if it is not yet.
    pub(crate) async fn allow_contains(&self) -> Result<(), Trouble> {
        let features: Value = self.get("/experimental-features").await?;
        if features["containsFilter"] != json!(true) {
            let wanted = json!({"containsFilter": true});
            self.patch::<Value>("/experimental-features", wanted, 200).await?;
        }
        Ok(())
    }

    /// The primary key of an index; `None` where there is no such index.
    pub(crate) async fn primary_key(&self, index: &str) -> Result<Option<Value>, Trouble> {
        found(
            self.client
                .get_raw_index(index)
                .await
                .map_err(Trouble::from)
                .map(|mut index| index["primaryKey"].take()),
        )
    }

    /// How an index is set up; `None` where there is no such index.
    pub(crate) async fn setup(&self, index: &str) -> Result<Option<Setup>, Trouble> {
        let settings = self.get::<Value>(&format!("/indexes/{index}/settings")).await;
        Ok(found(settings)?.as_ref().map(settings::read))
    }

    /// Gives an index its settings, making it where there is none. A change that is under way is waited for instead.
    pub(crate) async fn set_up(&self, index: &str, mark: &Mark) -> Result<(), Trouble> {
        if self.wait_for("settingsUpdate", Some(index)).await?
            && self.setup(index).await?.is_some_and(|setup| setup.is_current && setup.mark == *mark)
        {
            return Ok(());
        }
        let task: Enqueued =
            self.patch(&format!("/indexes/{index}/settings"), settings::wanted(mark), 202).await?;
        self.done(task).await
    }

    /// Waits for a task of this type (on this index) that is not done yet, however it ends; gives whether there was one.
    pub(crate) async fn wait_for(&self, kind: &str, index: Option<&str>) -> Result<bool, Trouble> {
        let of_index = index.map(|index| format!("&indexUids={index}")).unwrap_or_default();
        let path = format!("/tasks?types={kind}&statuses=enqueued,processing&limit=1{of_index}");
        let running: Tasks = self.get(&path).await?;
        let Some(running) = running.results.first() else { return Ok(false) };
        match self.done(Enqueued { task_uid: running.uid }).await {
            Ok(()) | Err(Trouble::Failed(_) | Trouble::Cancelled(_)) => Ok(true),
            Err(trouble) => Err(trouble),
        }
    }

    /// Hands documents to an index, as lines of JSON.
    pub(crate) async fn add(&self, index: &str, lines: Bytes) -> Result<Enqueued, Trouble> {
        let url = format!("{}/indexes/{index}/documents?primaryKey=id", self.address());
        self.http.post_lines(&url, lines, 202).await
    }

    /// Deletes the documents of an index that `filter` finds; none where there is no such index.
    pub(crate) async fn delete(&self, index: &str, filter: &str) -> Result<(), Trouble> {
        let index = self.client.index(index);
        let query = DocumentDeletionQuery { index: &index, filter: Some(filter) };
        let task = index.delete_documents_with(&query).await?;
        found(self.done(Enqueued { task_uid: task.task_uid.into() }).await)?;
        Ok(())
    }

    /// Deletes an index, if there is one.
    pub(crate) async fn drop_index(&self, index: &str) -> Result<(), Trouble> {
        if self.primary_key(index).await?.is_none() {
            return Ok(());
        }
        let task = self.client.delete_index(index).await?;
        found(self.done(Enqueued { task_uid: task.task_uid.into() }).await)?;
        Ok(())
    }

    /// Has two indexes change their names.
    pub(crate) async fn swap(&self, one: &str, other: &str) -> Result<(), Trouble> {
        let swap = SwapIndexes { indexes: (one.to_owned(), other.to_owned()), rename: None };
        let task = self.client.swap_indexes([&swap]).await?;
        self.done(Enqueued { task_uid: task.task_uid.into() }).await
    }

    /// Waits until a task succeeded.
    ///
    /// # Errors
    /// [`Trouble::Failed`] with what it failed of; [`Trouble::Late`] where it is not done in time.
    pub(crate) async fn done(&self, task: Enqueued) -> Result<(), Trouble> {
        let began = Instant::now();
        let mut look = LOOKS.0;
        loop {
            let seen: Task = self.get(&format!("/tasks/{}", task.task_uid)).await?;
            match seen.status.as_str() {
                "succeeded" => return Ok(()),
                "failed" => {
                    let unknown = || Refusal::read(0, b"no reason given");
                    return Err(Trouble::Failed(seen.error.unwrap_or_else(unknown)));
                }
                "canceled" => return Err(Trouble::Cancelled(task.task_uid)),
                status if began.elapsed() > self.task_timeout => {
                    let (status, waited) = (status.to_owned(), began.elapsed());
                    return Err(Trouble::Late { task: task.task_uid, status, waited });
                }
                _ => tokio::time::sleep(look).await,
            }
            look = (look * 3 / 2).min(LOOKS.1);
        }
    }

    /// Waits as [`done`](Self::done) does, but cancels a task that is late, so that tries do not pile up behind one
    /// another.
    pub(crate) async fn done_in_time(&self, task: Enqueued) -> Result<(), Trouble> {
        let done = self.done(task).await;
        if matches!(done, Err(Trouble::Late { .. })) {
            self.cancel(task).await;
        }
        done
    }

    async fn cancel(&self, task: Enqueued) {
        let Ok(uid) = u32::try_from(task.task_uid) else { return };
        let mut query = TasksCancelQuery::new(&self.client);
        query.with_uids([&uid]);
        if let Err(error) = query.execute().await.map_err(Trouble::from) {
            tracing::debug!(task = uid, %error, "could not cancel a task of Meilisearch that is late");
        }
    }
}

/// `None` where there is no such index.
pub(crate) fn found<T>(answer: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(trouble) if trouble.has_code("index_not_found") => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
