//! `runs/…`: the life of runs, and the search.

use perennial_core::Result;
use perennial_kernel::Caller;
use perennial_tracking::runs::{self, Begin, RunUpdate, Search};

use super::call::CallRoutes;
use super::convert::{all, lifecycle, page_token};
use super::definitions::runs::{create, delete, get, restore, search, update};

/// Runs of a page when the request does not say.
const PAGE_DEFAULT: u32 = 1_000;

pub(super) fn routes(routes: CallRoutes) -> CallRoutes {
    routes
        .call(&create::CALL, create)
        .call(&get::CALL, get)
        .call(&update::CALL, update)
        .call(&delete::CALL, delete)
        .call(&restore::CALL, restore)
        .call(&search::CALL, search)
}

async fn create(caller: Caller, request: create::Request) -> Result<create::Answer> {
    let begin = Begin {
        name: request.run_name,
        user_id: request.user_id.unwrap_or_default(),
        start_ms: request.start_time.unwrap_or_default(),
        tags: all(request.tags),
    };
    Ok(create::Answer { run: runs::create(&caller, request.experiment_id, begin).await?.into() })
}

async fn get(caller: Caller, request: get::Request) -> Result<get::Answer> {
    Ok(get::Answer { run: runs::get(&caller, request.run_id).await?.into() })
}

async fn update(caller: Caller, request: update::Request) -> Result<update::Answer> {
    let update = RunUpdate { status: request.status, end_ms: request.end_time, name: request.run_name };
    Ok(update::Answer { run_info: runs::update(&caller, request.run_id, update).await?.into() })
}

async fn delete(caller: Caller, request: delete::Request) -> Result<delete::Answer> {
    runs::delete(&caller, request.run_id).await?;
    Ok(delete::Answer {})
}

async fn restore(caller: Caller, request: restore::Request) -> Result<restore::Answer> {
    runs::restore(&caller, request.run_id).await?;
    Ok(restore::Answer {})
}

async fn search(caller: Caller, request: search::Request) -> Result<search::Answer> {
    let search = Search {
        experiment_ids: request.experiment_ids,
        filter: request.filter.unwrap_or_default(),
        lifecycle: lifecycle(request.run_view_type),
        order: request.order_by,
        after: page_token(request.page_token),
        limit: request.max_results.map_or(PAGE_DEFAULT, |limit| limit.0),
    };
    let page = runs::search(&caller, search).await?;
    Ok(search::Answer { runs: all(page.items), next_page_token: page.next })
}
