//! What is different between two versions or environments, to whoever may read both.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    comparison::{Difference, Side},
    portal::{
        Portal,
        access::Right,
        extract::{self, Named, name},
        problem::Problem,
        visitor::Visitor,
    },
    release::ApplicationKey,
};

/// Which two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// A version (1.4.0) or an environment (prod); version:X and env:X say which where it could be either.
    from: String,
    /// The other.
    to: String,
}

/// `GET …/applications/{application}/diff`
pub async fn show(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named((namespace, application)): Named<(String, String)>,
    extract::Asked(Asked { from, to }): extract::Asked<Asked>,
) -> Result<Json<Difference>, Problem> {
    // It shows what is in charts, and what is rendered for environments.
    let rights = [Right::GetUploads, Right::GetCharts, Right::GetOverlays, Right::ListOverlays];
    portal.access().require(&session, &rights, name("a namespace", &namespace)?).await?;
    let side = |text: &str| match text.parse::<Side>() {
        Ok(side) => side,
        Err(never) => match never {},
    };
    let _turn = portal.turns().comparison(&session).await?;
    let key = ApplicationKey::new(namespace, application);
    let sources = portal.sources(key);
    sources.compare(&side(&from), &side(&to)).await.map(Json).map_err(Problem::of_stores)
}
