//! Rebuilds: into an index of their own, which every process writes, too, and which then changes names with the one that
//! answers.
//!
//! Nobody tells the other processes of a rebuild: they see that its index is there. One who did not see it yet when it
//! began wrote a document whose record the archive had already, so the rebuild writes it again. One who still saw it when
//! it ended wrote to its index first and to the one that answers last; so the document is where it belongs, and at worst
//! an index that is nobody's was made, which the next write deletes.

use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{PortError, PortResult};

use crate::MeilisearchIndex;
use crate::settings::Mark;
use crate::trouble::Trouble;

impl MeilisearchIndex {
    /// The indexes that are written: that of a rebuild, if one is under way, and the one that answers, which is set up
    /// where it is gone.
    pub(crate) async fn written(&self) -> Result<Vec<&str>, Trouble> {
        self.set_up().await?;
        let mut written = Vec::with_capacity(2);
        match self.server.setup(&self.next).await? {
            None => {}
            Some(setup) if setup.is_ours => written.push(self.next.as_str()),
            Some(_) => {
                tracing::debug!(
                    index = self.next,
                    "deleting an index that a write made after its rebuild ended"
                );
                self.server.drop_index(&self.next).await?;
            }
        }
        written.push(self.config.index());
        Ok(written)
    }

    pub(crate) async fn begin(&self) -> Result<(), Trouble> {
        let mut rebuild = self.rebuild.lock().await;
        let name = ExchangeId::mint().to_string();
        self.server.drop_index(&self.next).await?;
        self.server.set_up(&self.next, &Mark::Rebuild(name.clone())).await?;
        *rebuild = Some(name);
        Ok(())
    }

    /// May be called again where it failed: it goes on where it was.
    pub(crate) async fn finish(&self) -> PortResult<()> {
        const DOING: &str = "finish a rebuild";
        let telling = |trouble: Trouble| self.told(&trouble, DOING);
        let mut rebuild = self.rebuild.lock().await;
        let Some(name) = rebuild.clone() else {
            return Err(PortError::Permanent("no rebuild of the search index is under way".to_owned()));
        };
        let complete = Mark::Complete(name.clone());
        loop {
            self.server.wait_for("indexSwap", None).await.map_err(telling)?;
            if self.mark(self.config.index()).await.map_err(telling)? == Some(complete.clone()) {
                break;
            }
            match self.mark(&self.next).await.map_err(telling)? {
                Some(Mark::Rebuild(named)) if named == name => {
                    self.server.set_up(&self.next, &complete).await.map_err(telling)?;
                }
                Some(Mark::Complete(named)) if named == name => {
                    self.server.swap(self.config.index(), &self.next).await.map_err(telling)?;
                }
                _ => {
                    *rebuild = None;
                    return Err(PortError::Conflict(
                        "another rebuild of the search index was begun meanwhile: that one goes on"
                            .to_owned(),
                    ));
                }
            }
        }
        self.server.drop_index(&self.next).await.map_err(telling)?;
        *rebuild = None;
        Ok(())
    }

    async fn mark(&self, index: &str) -> Result<Option<Mark>, Trouble> {
        Ok(self.server.setup(index).await?.map(|setup| setup.mark))
    }
}
