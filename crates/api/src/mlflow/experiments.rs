//! `experiments/…`.

use perennial_core::Result;
use perennial_kernel::Caller;
use perennial_tracking::experiments::{self, Search, Tag};

use super::call::CallRoutes;
use super::convert::{all, lifecycle, page_token};
use super::definitions::experiments::{create, delete, delete_tag, get, get_by_name, restore, search, set_tag, update};

pub(super) fn routes(routes: CallRoutes) -> CallRoutes {
    routes
        .call(&create::CALL, create)
        .call(&get::CALL, get)
        .call(&get_by_name::CALL, get_by_name)
        .call(&search::CALL, search)
        .call(&update::CALL, update)
        .call(&delete::CALL, delete)
        .call(&restore::CALL, restore)
        .call(&set_tag::CALL, set_tag)
        .call(&delete_tag::CALL, delete_tag)
}

async fn create(caller: Caller, request: create::Request) -> Result<create::Answer> {
    let experiment = experiments::create(&caller, request.name, request.artifact_location, all(request.tags)).await?;
    Ok(create::Answer { experiment_id: experiment.id })
}

async fn get(caller: Caller, request: get::Request) -> Result<get::Answer> {
    Ok(get::Answer { experiment: experiments::get(&caller, request.experiment_id).await?.into() })
}

async fn get_by_name(caller: Caller, request: get_by_name::Request) -> Result<get_by_name::Answer> {
    let experiment = experiments::get_by_name(&caller, &request.experiment_name).await?;
    Ok(get_by_name::Answer { experiment: experiment.into() })
}

async fn search(caller: Caller, request: search::Request) -> Result<search::Answer> {
    let search = Search {
        filter: request.filter.unwrap_or_default(),
        lifecycle: lifecycle(request.view_type),
        order: request.order_by,
        after: page_token(request.page_token),
        limit: request.max_results.0,
    };
    let page = experiments::search(&caller, search).await?;
    Ok(search::Answer { experiments: all(page.items), next_page_token: page.next })
}

async fn update(caller: Caller, request: update::Request) -> Result<update::Answer> {
    experiments::rename(&caller, request.experiment_id, request.new_name).await?;
    Ok(update::Answer {})
}

async fn delete(caller: Caller, request: delete::Request) -> Result<delete::Answer> {
    experiments::delete(&caller, request.experiment_id).await?;
    Ok(delete::Answer {})
}

async fn restore(caller: Caller, request: restore::Request) -> Result<restore::Answer> {
    experiments::restore(&caller, request.experiment_id).await?;
    Ok(restore::Answer {})
}

async fn set_tag(caller: Caller, request: set_tag::Request) -> Result<set_tag::Answer> {
    let tag = Tag { key: request.key, value: request.value.unwrap_or_default() };
    experiments::set_tag(&caller, request.experiment_id, tag).await?;
    Ok(set_tag::Answer {})
}

async fn delete_tag(caller: Caller, request: delete_tag::Request) -> Result<delete_tag::Answer> {
    experiments::delete_tag(&caller, request.experiment_id, request.key).await?;
    Ok(delete_tag::Answer {})
}
