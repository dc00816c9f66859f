//! Lists of facts.

use sycamore::prelude::*;

use crate::detail::Fact;
use crate::page::Page;
use crate::page::dom;

use super::known;

/// A titled list. A fact that is not known has no line.
#[component(inline_props)]
pub(super) fn Facts(title: &'static str, facts: &'static [Fact]) -> View {
    let lines: Vec<View> = facts.iter().map(|fact| view! { Line(fact=*fact) }).collect();
    view! {
        section(class="drawer-section") {
            h3 { (title) }
            dl(class="facts") { (lines) }
        }
    }
}

#[component(inline_props)]
fn Line(fact: Fact) -> View {
    let board = use_context::<Page>().board;
    let text = create_selector(move || known(board, |detail| (fact.text)(&detail.node)).flatten());
    let is_unknown = dom::flag(move || text.with(Option::is_none));
    let label = fact.label;
    let shown = dom::text(move || text.get_clone().unwrap_or_default());
    view! {
        div(class="fact", hidden=is_unknown) {
            dt { (label) }
            dd { (shown) }
        }
    }
}
