//! Reads all items of the table. Only the command line does this: the function has no permission for it.

use image_copy::registry::Error;

use super::{StateTable, TagState, item};

/// Maximum number of pages. DynamoDB returns up to 1 MB in a page
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.Pagination>), which is
/// enough for at least 80 tags with 20 copies each.
const MAX_PAGES: usize = 1000;

/// All items of a state table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableContent {
    /// State of each tag, in no particular order.
    pub tags: Vec<TagState>,
    /// Number of items that are not the state of a tag.
    pub unreadable: usize,
}

impl StateTable {
    /// Reads all items with strong consistency. Needs `dynamodb:Scan`.
    ///
    /// # Errors
    /// DynamoDB's error, no response within four seconds for a page, or a table with more than 1 GB.
    pub async fn scan(&self) -> Result<TableContent, Error> {
        let mut content = TableContent::default();
        let mut start = None;
        for _ in 0..MAX_PAGES {
            let request = self
                .client
                .scan()
                .table_name(&self.name)
                .set_exclusive_start_key(start)
                .consistent_read(true);
            let page = self.client().send("dynamodb:Scan", || request.clone().send()).await?;
            for item in page.items.unwrap_or_default() {
                match item::parse(item) {
                    Some(state) => content.tags.push(state),
                    None => content.unreadable += 1,
                }
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(content);
            }
        }
        Err(Error::Protocol("the state table has more than 1000 pages"))
    }
}
