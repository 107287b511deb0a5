//! The HelmChart of a release: made once, kept in step with the environments, trimmed by the history limit.

use kube::{ResourceExt, api::ListParams, core::ObjectMeta};

use super::request::Request;
use crate::{
    api::{
        ChartSource, FIELD_MANAGER, GeneratedChart, HelmChart, HelmChartSpec, ImageUpload, annotation, helm_chart_name,
        label,
    },
    controllers::{context::Context, outcome::Halt},
    release::ReleaseRecord,
};

/// The HelmChart of the release as it is in the cluster.
///
/// Its environments are those in the Chart Store, where the edits of uploads and charts meet: whoever applies them
/// applies the same.
pub async fn publish(
    context: &Context,
    object: &ImageUpload,
    request: &Request<'_>,
    record: &ReleaseRecord,
) -> Result<HelmChart, Halt> {
    let name = helm_chart_name(&request.key.application, request.version());
    let namespace = &request.key.namespace;
    let wanted = spec(request, record);
    let present = context.api::<HelmChart>(namespace).get_opt(&name).await?;
    if let Some(present) = present.filter(|present| is_as_wanted(present, &wanted)) {
        return Ok(present);
    }
    let mut chart = HelmChart::new(&name, wanted);
    chart.metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(namespace.clone()),
        labels: Some(
            [(label::APPLICATION, request.key.application.as_str()), (label::MANAGED_BY, FIELD_MANAGER)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        ),
        annotations: Some([(annotation::IMAGE_UPLOAD.to_owned(), object.name_any())].into()),
        ..Default::default()
    };
    context.apply(namespace, &name, &chart).await
}

fn spec(request: &Request<'_>, record: &ReleaseRecord) -> HelmChartSpec {
    HelmChartSpec {
        application: request.key.application.clone(),
        version: request.version().to_owned(),
        environments: record.description.environments.clone(),
        source: ChartSource { generated: GeneratedChart { release_digest: record.release.digest } },
        suspend: false,
    }
}

fn is_as_wanted(present: &HelmChart, wanted: &HelmChartSpec) -> bool {
    let mut environments = present.spec.environments.clone();
    environments.sort();
    present.spec.source == wanted.source
        && environments == wanted.environments
        && present.annotations().contains_key(annotation::IMAGE_UPLOAD)
}

/// Deletes the oldest HelmCharts of the upload beyond the history limit. The Chart Store keeps their charts.
pub async fn trim_history(context: &Context, object: &ImageUpload, request: &Request<'_>) -> Result<(), Halt> {
    let selector = format!("{}={},{}={FIELD_MANAGER}", label::APPLICATION, request.key.application, label::MANAGED_BY);
    let charts = context.list::<HelmChart>(&request.key.namespace, &ListParams::default().labels(&selector)).await?;
    let own = charts.into_iter().filter(|chart| {
        chart.annotations().get(annotation::IMAGE_UPLOAD) == Some(&object.name_any())
            && chart.metadata.deletion_timestamp.is_none()
    });
    for chart in beyond_history(own.collect(), request.version(), context.installation.chart_history) {
        context.delete(&chart).await?;
    }
    Ok(())
}

/// The oldest charts beyond `history`, among which `current` always is.
fn beyond_history(charts: Vec<HelmChart>, current: &str, history: usize) -> Vec<HelmChart> {
    let mut others: Vec<_> = charts.into_iter().filter(|chart| chart.spec.version != current).collect();
    others.sort_by_key(|chart| std::cmp::Reverse((chart.creation_timestamp(), chart.name_any())));
    others.split_off(history.saturating_sub(1).min(others.len()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::digest::Digest;

    fn chart(version: &str, second: i64) -> HelmChart {
        let source = ChartSource { generated: GeneratedChart { release_digest: Digest::of(version) } };
        let spec = HelmChartSpec {
            application: "web".into(),
            version: version.into(),
            environments: vec![],
            source,
            suspend: false,
        };
        let mut chart = HelmChart::new(&helm_chart_name("web", version), spec);
        chart.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        chart
    }

    #[test]
    fn the_oldest_go_and_the_current_one_stays() {
        let charts = vec![chart("1.0.0", 1), chart("1.1.0", 2), chart("1.2.0", 3), chart("1.3.0", 4)];
        let gone = |current: &str, history| -> Vec<String> {
            beyond_history(charts.clone(), current, history).iter().map(|c| c.spec.version.clone()).collect()
        };
        assert_eq!(gone("1.3.0", 2), ["1.1.0", "1.0.0"]);
        assert_eq!(gone("1.0.0", 2), ["1.2.0", "1.1.0"]);
        assert_eq!(gone("1.3.0", 10), [""; 0]);
        assert_eq!(gone("1.3.0", 0), ["1.2.0", "1.1.0", "1.0.0"]);
    }
}
