//! The map under a pointer: gliding, opening a place, and standing still for readers who prefer reduced
//! motion.

use anyhow::ensure;
use serde_json::Value;
use tidemap_testkit::{
    fake::{FakeFleet, FakeNode},
    undisturbed,
};

use crate::{
    map::{do_on_map, press},
    visit::Visit,
};

/// Notes where the popup is, and with it the selected node, each time that changes.
const FOLLOW: &str = r"
    const popup = document.querySelector('.map-popup[data-popup]');
    const across = () => Number(popup.style.transform.match(/-?\d+/)[0]);
    window.path = [across()];
    const note = () => { if (across() !== path.at(-1)) path.push(across()); };
    new MutationObserver(note).observe(popup, { attributeFilter: ['style'] });
";

/// Drags 18 pixels to the left in 30 ms and releases at that speed. The times are in the events, so the flick
/// is the same on a busy machine.
const FLICK: &str = r"
    const timed = (kind, x, timeStamp, more) => {
        const event = new PointerEvent(kind, { pointerId: 7, button: 0, buttons: 1, pointerType: 'mouse', ...at(x, 0), ...more });
        Object.defineProperty(event, 'timeStamp', { value: 1000 + timeStamp });
        stage.dispatchEvent(event);
    };
    timed('pointerdown', 0, 0);
    [6, 12, 18].forEach((px, number) => timed('pointermove', -px, 10 * (number + 1)));
    timed('pointerup', -18, 30, { buttons: 0 });
";

/// So many nodes in one house, one after the other in the alphabet.
fn house(nodes: usize) -> FakeFleet {
    let node = |at: usize| FakeNode {
        name: format!("quito-{}", at + 1),
        place: Some(("Quito".to_owned(), -0.18, -78.47)),
        rate: Some(2e6),
        age_ms: 400,
        ..FakeNode::default()
    };
    FakeFleet::of((0..nodes).map(node).collect())
}

/// A page with one node, selected, in the middle of its map.
async fn one_selected(wishes: &[(&str, &str)]) -> Visit {
    let visit = Visit::start(house(1), 1440, 900).await;
    visit.browser.prefer(wishes).await.unwrap();
    visit.open_live("/").await;
    press(&visit, "]").await;
    visit.expect("!!document.querySelector('.map-popup[data-popup=quito-1]:not([hidden])')").await;
    visit.next_frame().await;
    do_on_map(&visit, FOLLOW).await;
    visit
}

/// Where the node has been since, from where it was when it was selected.
async fn path(visit: &Visit) -> Vec<i64> {
    let path = visit.browser.eval("path.map(x => x - path[0])").await.unwrap();
    path.as_array().unwrap().iter().filter_map(Value::as_i64).collect()
}

#[tokio::test]
async fn a_map_that_is_let_go_while_it_moves_glides_on_and_comes_to_rest() {
    // A browser that stands still meanwhile draws fewer steps.
    undisturbed(glides_on_and_comes_to_rest).await.unwrap();
}

async fn glides_on_and_comes_to_rest() -> anyhow::Result<()> {
    let visit = one_selected(&[]).await;
    do_on_map(&visit, FLICK).await;
    // At 0.6 pixels a millisecond the glide is 195 pixels long; the last six are too slow to count.
    visit.expect("Math.abs(path.at(-1) - path[0] + 18 + 189) <= 4").await;
    let glided = path(&visit).await;
    assert!(glided.is_sorted_by(|a, b| a > b), "never back: {glided:?}");
    ensure!(glided.len() > 4, "step by step: {glided:?}");

    // A press stops it where it is.
    press(&visit, "0").await;
    visit.expect("path.at(-1) === path[0]").await;
    let flown = path(&visit).await;
    ensure!(flown.len() > glided.len() + 1, "the way back is flown: {flown:?}");
    do_on_map(&visit, &[FLICK, "timed('pointerdown', -18, 40); timed('pointerup', -18, 400);"].concat())
        .await;
    visit.expect("path.at(-1) - path[0] === -18").await;
    for _ in 0..10 {
        visit.next_frame().await;
    }
    assert_eq!(path(&visit).await.last(), Some(&-18));
    visit.end().await;
    Ok(())
}

#[tokio::test]
async fn nothing_moves_by_itself_for_those_who_prefer_it_so() {
    let visit = one_selected(&[("prefers-reduced-motion", "reduce")]).await;
    do_on_map(&visit, FLICK).await;
    visit.expect("path.at(-1) - path[0] === -18").await;
    for _ in 0..10 {
        visit.next_frame().await;
    }
    assert_eq!(path(&visit).await, [0, -18], "it stops where it is let go");
    press(&visit, "0").await;
    visit.expect("path.at(-1) === path[0]").await;
    assert_eq!(path(&visit).await, [0, -18, 0], "it is there at once");
    visit.end().await;
}

#[tokio::test]
async fn nodes_of_one_place_fan_out_under_a_pointer_and_each_can_be_chosen() {
    let visit = Visit::start(house(3), 1440, 900).await;
    visit.open_live("/").await;
    let tap = |x: i32, y: i32| {
        format!("pointer('pointerdown', {x}, {y}); pointer('pointerup', {x}, {y}, {{ buttons: 0 }});")
    };
    let rest = |x: i32, y: i32| format!("pointer('pointermove', {x}, {y}, {{ buttons: 0 }});");
    let over = |what: &str| format!("document.querySelector('.map-stage').dataset.over === '{what}'");
    let is_chosen =
        |name: &str| format!("!!document.querySelector('.map-popup[data-popup={name}]:not([hidden])')");

    // One marker stands for all three; around it is nothing.
    do_on_map(&visit, &rest(0, 0)).await;
    visit.expect_text(".map-tip", "3 nodes: 3 online").await;
    do_on_map(&visit, &rest(0, -38)).await;
    visit.expect(&over("map")).await;

    // Tapped, it spreads them on a ring that begins at the top.
    do_on_map(&visit, &tap(0, 0)).await;
    do_on_map(&visit, &rest(0, -38)).await;
    visit.expect(&over("marker")).await;
    for (x, y, name) in [(0, -38, "quito-1"), (33, 19, "quito-2"), (-33, 19, "quito-3")] {
        do_on_map(&visit, &rest(x, y)).await;
        visit.expect_text(".map-tip", name).await;
        do_on_map(&visit, &tap(x, y)).await;
        visit.expect(&is_chosen(name)).await;
    }

    // A tap beside it folds it up again.
    do_on_map(&visit, &tap(-160, 120)).await;
    visit.expect("!document.querySelector('.map-popup[data-popup]:not([hidden])')").await;
    do_on_map(&visit, &rest(33, 19)).await;
    visit.expect(&over("map")).await;
    visit.end().await;
}
