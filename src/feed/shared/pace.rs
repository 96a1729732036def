//! How soon the log may be asked again.

use tokio::time::{Duration, Instant, sleep_until};

/// What each of those who asked lately adds to the time before the next question.
const EACH: Duration = Duration::from_millis(5);

/// But no one waits longer than this.
const LONGEST: Duration = Duration::from_secs(2);

/// After this long, who asked counts for half.
const HALF: Duration = Duration::from_secs(5);

/// Who asks alone is answered at once; who asks with many waits for more to come. So a storm costs
/// a few questions whatever its size, and one client's catching up is not held up by it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    asked: Option<Instant>,
    recent: f64,
}

impl Pace {
    /// Waits until the next question may be asked.
    pub(super) async fn wait(&self) {
        if let Some(asked) = self.asked {
            let pause = EACH.mul_f64(self.recent.min(1e6)).min(LONGEST);
            sleep_until(asked + pause).await;
        }
    }

    /// So many are asking now.
    pub(super) fn ask(&mut self, count: usize) {
        let now = Instant::now();
        let since = self.asked.map_or(0.0, |asked| now.duration_since(asked).as_secs_f64());
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.recent = self.recent * 0.5_f64.powf(since / HALF.as_secs_f64()) + count;
        self.asked = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, Instant};

    use super::Pace;

    /// How many questions a storm leads to, where so many ask each millisecond.
    async fn questions(each_ms: usize, ms: usize) -> usize {
        let (mut pace, began, mut count, mut answered) = (Pace::default(), Instant::now(), 0, 0);
        while began.elapsed() < Duration::from_millis(ms as u64) {
            pace.wait().await;
            let come = usize::try_from(began.elapsed().as_millis()).unwrap_or(0) * each_ms + 1;
            pace.ask(come - answered);
            answered = come;
            count += 1;
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_leads_to_a_few_questions_whatever_its_size() {
        let few = [questions(1, 10_000).await, questions(10, 10_000).await];
        assert!(few.iter().all(|it| (5..=12).contains(it)), "{few:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_alone_is_not_held_up() {
        let mut pace = Pace::default();
        let began = Instant::now();
        for _ in 0..10 {
            pace.wait().await;
            pace.ask(1);
        }
        assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
        tokio::time::advance(Duration::from_mins(1)).await;
        let began = Instant::now();
        pace.wait().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
