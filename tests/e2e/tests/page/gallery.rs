//! Every state of the page in both themes and at three widths: axe reports nothing, and the page looks as in
//! the kept pictures.
//!
//! `TIDEMAP_BLESS=1` replaces the kept pictures. A picture that differs is left in the target folder. All
//! pictures are left, in full size, in the folder that `TIDEMAP_LOOK` names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use tidemap_testkit::fake::{FakeFleet, Line};
use tokio::time::Instant;

use crate::{axe, is_blessing, picture::Picture, visit::Visit};

/// Widths and heights of the window, and how many times smaller its pictures are kept.
const SIZES: [(u32, u32, u32); 3] = [(360, 780, 3), (900, 1000, 5), (1440, 900, 6)];
/// Below this width the page shows one region at a time.
const TABS_BELOW: u32 = 768;
/// The share of a picture that may differ because of fonts and browser versions.
const TOLERANCE: f64 = 0.03;
/// The same on a phone when letters have another width than in the kept pictures: lines then break at other
/// places.
const FOREIGN_TOLERANCE: f64 = 0.45;
/// How wide the machine's letters are.
const LETTERS: &str = "Math.round((context => {
        context.font = '100px system-ui';
        return context.measureText('Online, warning, offline: 0123456789').width;
    })(document.createElement('canvas').getContext('2d')))";
/// For the page to look as it should, with its map loaded and drawn.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Loading,
    Empty,
    Live,
    NoMatch,
    DrawerOpen,
    Paused,
    Stale,
    Disconnected,
}

const STATES: [State; 8] = [
    State::Loading,
    State::Empty,
    State::Live,
    State::NoMatch,
    State::DrawerOpen,
    State::Paused,
    State::Stale,
    State::Disconnected,
];

impl State {
    /// The regions that are looked at on a phone: 1 is the overview, 2 the map, 3 the nodes.
    fn tabs(self) -> &'static [u32] {
        match self {
            Self::Live => &[1, 2, 3],
            Self::Empty | Self::NoMatch => &[3],
            _ => &[1],
        }
    }

    /// Brings the page into this state and stops its clock.
    async fn reach(self, visit: &Visit) {
        let fleet = if self == Self::Empty { FakeFleet::empty() } else { FakeFleet::world() };
        visit.server.set_fleet(fleet);
        visit.server.set_line(if self == Self::Loading { Line::HalfOpen } else { Line::Sound });
        visit.hold_clock().await;
        visit
            .open(match self {
                Self::NoMatch => "/?q=nobody",
                Self::DrawerOpen => "/?node=web-01",
                _ => "/",
            })
            .await;
        if self == Self::Loading {
            return visit.expect_link("loading").await;
        }
        visit.expect_link("live").await;
        // Five minutes of the fleet.
        visit.beat(76, Duration::from_secs(4)).await;
        self.go_on(visit).await;
    }

    /// From the live state.
    async fn go_on(self, visit: &Visit) {
        match self {
            Self::Loading | Self::Live => {}
            Self::Empty => visit.expect_text("body", "No nodes have reported yet").await,
            Self::NoMatch => visit.expect_text("body", "No node matches").await,
            Self::DrawerOpen => visit.expect_text("#detail", "eth0").await,
            Self::Paused => {
                visit.press_unseen("#pause").await;
                visit.next_frame().await;
                for _ in 0..4 {
                    // A longer silence would count as a broken link.
                    visit.advance_clock(Duration::from_millis(8500)).await;
                    visit.beat(1, Duration::from_millis(8500)).await;
                }
                visit.expect_text("#connection", "Paused – 34 s behind").await;
            }
            Self::Stale => {
                visit.advance_clock(Duration::from_secs(7)).await;
                visit.expect_text("#connection", "No data for 7 s").await;
            }
            Self::Disconnected => {
                let asked = visit.server.asked();
                visit.server.set_line(Line::BadGateway);
                visit.server.hang_up();
                visit.expect_asked(asked + 1).await;
                visit.expect_text("#notice", "Next try in 2 s").await;
            }
        }
    }
}

/// The width of the letters where the pictures were taken.
fn letters() -> PathBuf {
    folder().join("letters.txt")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/pictures")
}

/// The pictures of one theme and width, beside and below each other.
struct Sheet {
    path: PathBuf,
    kept: Option<Picture>,
    taken: Vec<Picture>,
    tolerance: f64,
}

impl Sheet {
    fn open(theme: &str, width: u32, tolerance: f64) -> Self {
        let path = folder().join(format!("{theme}-{width}.png"));
        let kept = std::fs::read(&path).ok().and_then(|png| Picture::read(&png).ok());
        Self { path, kept, taken: Vec::new(), tolerance }
    }

    /// How much of the next picture differs from what is kept.
    fn difference(&self, picture: &Picture) -> f64 {
        let number = self.taken.len() as u32;
        let kept = self.kept.as_ref().and_then(|kept| kept.tile(number, picture.width, picture.height));
        kept.map_or(1.0, |kept| picture.difference(&kept))
    }

    fn bless(&self) {
        std::fs::write(&self.path, Picture::sheet(&self.taken).write().unwrap()).unwrap();
    }
}

/// Compares until the page looks as kept; when blessing, waits until it no longer changes.
async fn take(visit: &Visit, sheet: &mut Sheet, times: u32, name: &str) -> Result<(), String> {
    let deadline = Instant::now() + PICTURE_TIMEOUT;
    let mut before = None;
    loop {
        let png = visit.browser.screenshot().await.unwrap();
        let picture = Picture::read(&png).unwrap().shrunk(times);
        let difference = sheet.difference(&picture);
        let is_done = match is_blessing() {
            true => before.as_ref() == Some(&picture),
            false => difference <= sheet.tolerance,
        };
        let is_late = Instant::now() >= deadline;
        if is_done || is_late {
            sheet.taken.push(picture.clone());
            if let Some(folder) = std::env::var_os("TIDEMAP_LOOK") {
                std::fs::write(Path::new(&folder).join(name).with_extension("png"), &png).unwrap();
            }
        }
        if is_done {
            return Ok(());
        }
        if is_late {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
            std::fs::write(&path, png).unwrap();
            return Err(format!("{name}: {:.1} % differs, see {}", difference * 100.0, path.display()));
        }
        before = Some(picture);
    }
}

#[tokio::test]
async fn in_every_state_theme_and_width_it_is_usable_by_all_and_looks_as_it_did() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    let ours = visit.browser.eval(LETTERS).await.unwrap().to_string();
    let theirs = std::fs::read_to_string(letters()).unwrap_or_default();
    let mut sheets = BTreeMap::new();
    let mut wrong = Vec::new();
    let (mut judged, mut judging) = (0, Duration::ZERO);
    for state in STATES {
        state.reach(&visit).await;
        axe::join(&visit.browser).await.unwrap();
        for (width, height, times) in SIZES {
            visit.browser.resize(width, height).await.unwrap();
            let is_phone = width < TABS_BELOW;
            for tab in if is_phone { state.tabs() } else { &[0] } {
                if is_phone && state != State::DrawerOpen {
                    visit.press_unseen(&format!(".tab:nth-child({tab})")).await;
                }
                for theme in ["light", "dark"] {
                    let wishes = [("prefers-color-scheme", theme), ("prefers-reduced-motion", "reduce")];
                    visit.browser.prefer(&wishes).await.unwrap();
                    let name = format!("{state:?}-{theme}-{width}-{tab}");
                    let sheet = sheets.entry((theme, width)).or_insert_with(|| {
                        let is_foreign = is_phone && ours != theirs;
                        Sheet::open(theme, width, if is_foreign { FOREIGN_TOLERANCE } else { TOLERANCE })
                    });
                    wrong.extend(take(&visit, sheet, times, &name).await.err());
                    let began = Instant::now();
                    let found = axe::violations(&visit.browser).await.unwrap();
                    (judged, judging) = (judged + 1, judging + began.elapsed());
                    wrong.extend(found.into_iter().map(|found| format!("{name}: {found}")));
                }
            }
        }
    }
    if is_blessing() {
        std::fs::create_dir_all(folder()).unwrap();
        sheets.values().for_each(Sheet::bless);
        std::fs::write(letters(), ours).unwrap();
    }
    eprintln!("axe: {judged} pages judged in {:.1} s", judging.as_secs_f64());
    assert!(wrong.is_empty(), "{wrong:#?}");
    visit.end().await;
}
