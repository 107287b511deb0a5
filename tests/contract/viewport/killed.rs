//! placeholder
use super::{Under, story::*};
pub async fn a_process_killed_after_any_write_is_made_good_by_the_next(_under: Under) {
    let _ = web();
}
