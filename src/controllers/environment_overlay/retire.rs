//! The end of an overlay in the history, also of one that cannot be read.

use kube::{ResourceExt, api::ListParams};

use crate::{
    api::{Delivery, delivery_ends, label},
    chart_store::{Entry, Fact},
    controllers::{context::Context, outcome::Halt, unreadable::named},
    release::ApplicationKey,
};

/// Records that the environment is none any more. Nothing is said where nothing ever was.
pub async fn record(context: &Context, key: &ApplicationKey, environment: &str) -> Result<(), Halt> {
    let known = context.chart_store.environment(key, environment).await?;
    if known.is_none_or(|record| record.removed) {
        return Ok(());
    }
    let fact = Fact::EnvironmentRemoved { environment: environment.to_owned() };
    let entry = Entry { actor: context.deleter(), fact, spec: None, chart_package: None };
    context.chart_store.record(key, entry).await?;
    Ok(())
}

/// What an overlay that cannot be read leaves behind: its deliveries, of which only it says whether what they brought is to
/// go or to stay. Once there are none, its name is enough to record its end.
pub async fn leaves_behind(context: &Context, namespace: &str, name: &str) -> Result<Option<String>, Halt> {
    let Some((application, environment)) = parts(name) else { return Ok(None) };
    let of_application = ListParams::default().labels(&format!("{}={application}", label::APPLICATION));
    // One that cannot be read itself is known by its name.
    let there = context.api::<Delivery>(namespace).list_metadata(&of_application).await?;
    let is_its_own = |delivery: &String| delivery_ends(delivery).is_some_and(|(overlay, _)| overlay == name);
    let mut names: Vec<_> = there.iter().map(ResourceExt::name_any).filter(is_its_own).collect();
    if names.is_empty() {
        record(context, &ApplicationKey::new(namespace, application), environment).await?;
        return Ok(None);
    }
    names.sort();
    let plural = if names.len() == 1 { "Delivery" } else { "Deliveries" };
    Ok(Some(format!("{plural} {}", named(&names))))
}

/// Application and environment, which the API server makes sure are an overlay's name.
fn parts(name: &str) -> Option<(&str, &str)> {
    name.split_once('.').filter(|(_, environment)| !environment.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_is_known_by_its_name() {
        assert_eq!(parts("web.prod"), Some(("web", "prod")));
        assert_eq!((parts("odd-overlay"), parts("web.prod.more")), (None, None));
    }
}
