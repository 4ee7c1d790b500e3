// SPDX-License-Identifier: Apache-2.0
// The benchmarks in tokio: `prog BENCH N`, as bench/gort.
//
// Nearest equivalents, not identities.  Tasks are stackless.  "1 P" is the current-thread runtime; the crossing forms
// run two current-thread runtimes in two threads, since the multi-thread runtime keeps a pair of tasks on one worker.
// An unbuffered channel is mpsc(1); mpsc has one receiver, so fan_1x8 and fan_8x8 do not exist here.
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{channel, Receiver, Sender};
use tokio::task::{spawn, yield_now};

fn one() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn ns(start: Instant, n: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / n as f64
}

async fn yield_turns(n: usize) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            spawn(async move {
                for _ in 0..n / 2 {
                    yield_now().await;
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    ns(start, n)
}

async fn spawn_join(n: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        spawn(async {}).await.unwrap();
    }
    ns(start, n)
}

async fn batch1000(tasks: &mut Vec<tokio::task::JoinHandle<()>>) {
    tasks.extend((0..1000).map(|_| spawn(async {})));
    for t in tasks.drain(..) {
        t.await.unwrap();
    }
}

async fn spawn_batch1000(n: usize) -> f64 {
    let mut tasks = Vec::with_capacity(1000);
    batch1000(&mut tasks).await;
    let start = Instant::now();
    for _ in 0..n / 1000 {
        batch1000(&mut tasks).await;
    }
    ns(start, n)
}

fn fib(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let (tx, rx) = tokio::sync::oneshot::channel();
        spawn(async move { tx.send(fib(n - 1).await).unwrap() });
        let b = fib(n - 2).await;
        rx.await.unwrap() + b
    })
}

async fn fib23_tree(n: usize) -> f64 {
    assert_eq!(spawn(fib(23)).await.unwrap(), 28657);
    let start = Instant::now();
    for _ in 0..n {
        assert_eq!(spawn(fib(23)).await.unwrap(), 28657);
    }
    ns(start, n) / 1e6
}

async fn filter(mut input: Receiver<i32>, out: Sender<i32>, prime: i32) {
    while let Some(v) = input.recv().await {
        if v % prime != 0 && out.send(v).await.is_err() {
            return;
        }
    }
}

async fn sieve500(n: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        let (tx, mut rx) = channel(1);
        spawn(async move {
            let mut i = 2;
            while tx.send(i).await.is_ok() {
                i += 1;
            }
        });
        let mut prime = 0;
        for _ in 0..500 {
            prime = rx.recv().await.unwrap();
            let (tx, next) = channel(1);
            spawn(filter(rx, tx, prime));
            rx = next;
        }
        assert_eq!(prime, 3571);
    }
    ns(start, n) / 1e6
}

async fn echo(mut a: Receiver<i32>, b: Sender<i32>) {
    while let Some(v) = a.recv().await {
        b.send(v).await.unwrap();
    }
}

async fn round_trips(a: Sender<i32>, mut b: Receiver<i32>, n: usize) -> f64 {
    let start = Instant::now();
    for i in 0..n {
        a.send(i as i32).await.unwrap();
        assert_eq!(b.recv().await, Some(i as i32));
    }
    ns(start, n)
}

async fn unbuffered_rt(n: usize) -> f64 {
    let (a_tx, a_rx) = channel(1);
    let (b_tx, b_rx) = channel(1);
    spawn(echo(a_rx, b_tx));
    spawn(round_trips(a_tx, b_rx, n)).await.unwrap()
}

fn unbuffered_rt_crossing(n: usize) -> f64 {
    let (a_tx, a_rx) = channel(1);
    let (b_tx, b_rx) = channel(1);
    let t = std::thread::spawn(move || one().block_on(echo(a_rx, b_tx)));
    let v = one().block_on(round_trips(a_tx, b_rx, n));
    t.join().unwrap();
    v
}

async fn produce(tx: Sender<i32>, n: usize) {
    for i in 0..n {
        tx.send(i as i32).await.unwrap();
    }
}

async fn drain(mut rx: Receiver<i32>, n: usize) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    while rx.recv().await.is_some() {
        count += 1;
    }
    assert_eq!(count, n);
    ns(start, n)
}

async fn buffered_1p(n: usize) -> f64 {
    let (tx, rx) = channel(128);
    spawn(produce(tx, n));
    spawn(drain(rx, n)).await.unwrap()
}

fn buffered_2p(n: usize) -> f64 {
    let (tx, rx) = channel(128);
    let t = std::thread::spawn(move || one().block_on(produce(tx, n)));
    let v = one().block_on(drain(rx, n));
    t.join().unwrap();
    v
}

fn endless() -> Receiver<i32> {
    let (tx, rx) = channel(1);
    spawn(async move { while tx.send(1).await.is_ok() {} });
    rx
}

async fn select2(n: usize) -> f64 {
    let (mut a, mut b) = (endless(), endless());
    let start = Instant::now();
    for _ in 0..n {
        tokio::select! { _ = a.recv() => {}, _ = b.recv() => {} }
    }
    ns(start, n)
}

async fn select4(n: usize) -> f64 {
    let (mut a, mut b, mut c, mut d) = (endless(), endless(), endless(), endless());
    let start = Instant::now();
    for _ in 0..n {
        tokio::select! { _ = a.recv() => {}, _ = b.recv() => {}, _ = c.recv() => {}, _ = d.recv() => {} }
    }
    ns(start, n)
}

async fn select8(n: usize) -> f64 {
    let (mut a, mut b, mut c, mut d) = (endless(), endless(), endless(), endless());
    let (mut e, mut f, mut g, mut h) = (endless(), endless(), endless(), endless());
    let start = Instant::now();
    for _ in 0..n {
        tokio::select! {
            _ = a.recv() => {}, _ = b.recv() => {}, _ = c.recv() => {}, _ = d.recv() => {},
            _ = e.recv() => {}, _ = f.recv() => {}, _ = g.recv() => {}, _ = h.recv() => {}
        }
    }
    ns(start, n)
}

async fn fan_8x1(n: usize) -> f64 {
    let (tx, mut rx) = channel(64);
    let each = n / 8;
    let start = Instant::now();
    for _ in 0..8 {
        spawn(produce(tx.clone(), each));
    }
    drop(tx);
    let sum = spawn(async move {
        let mut count = 0;
        while rx.recv().await.is_some() {
            count += 1;
        }
        count
    });
    assert_eq!(sum.await.unwrap(), each * 8);
    ns(start, n)
}

async fn mutex_uncontended(n: usize) -> f64 {
    let mu = tokio::sync::Mutex::new(0);
    let start = Instant::now();
    for _ in 0..n {
        *mu.lock().await += 1;
    }
    assert_eq!(*mu.lock().await, n);
    ns(start, n)
}

async fn mutex_contended8(n: usize) -> f64 {
    let mu = std::sync::Arc::new(tokio::sync::Mutex::new(0));
    let each = n / 8;
    let start = Instant::now();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let mu = mu.clone();
            spawn(async move {
                for _ in 0..each {
                    *mu.lock().await += 1;
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    assert_eq!(*mu.lock().await, each * 8);
    ns(start, n)
}

async fn rwmutex_rlock(n: usize) -> f64 {
    let mu = tokio::sync::RwLock::new(1);
    let mut sum = 0;
    let start = Instant::now();
    for _ in 0..n {
        sum += *mu.read().await;
    }
    assert_eq!(sum, n);
    ns(start, n)
}

async fn once_done(n: usize) -> f64 {
    let once = tokio::sync::OnceCell::new();
    let start = Instant::now();
    for _ in 0..n {
        assert_eq!(*std::hint::black_box(&once).get_or_init(|| async { 7 }).await, 7);
    }
    ns(start, n)
}

async fn timer_new_stop(n: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        let sleep = tokio::time::sleep(Duration::from_secs(3600));
        tokio::pin!(sleep);
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    ns(start, n)
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Timeval {
    sec: i64,
    usec: i64,
}

#[repr(C)]
struct Rusage {
    utime: Timeval,
    stime: Timeval,
    rest: [i64; 14],
}

extern "C" {
    fn getrusage(who: i32, usage: *mut Rusage) -> i32;
}

// User and system time of the process, from getrusage without a further crate.
fn cpu_ns() -> f64 {
    let zero = Timeval { sec: 0, usec: 0 };
    let mut u = Rusage { utime: zero, stime: zero, rest: [0; 14] };
    // SAFETY: Rusage has the layout of struct rusage on 64-bit Linux, and the pointer is valid for the call.
    assert_eq!(unsafe { getrusage(0, &mut u) }, 0);
    let ns = |t: Timeval| t.sec as f64 * 1e9 + t.usec as f64 * 1e3;
    ns(u.utime) + ns(u.stime)
}

async fn sleepers(n: usize) -> f64 {
    let start = cpu_ns();
    let tasks: Vec<_> = (0..n as u32)
        .map(|i| {
            spawn(async move {
                let mut state = i;
                for _ in 0..5 {
                    state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                    tokio::time::sleep(Duration::from_millis(u64::from(1 + (state >> 16) % 100))).await;
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    (cpu_ns() - start) / (n * 5) as f64
}

async fn sleep_overshoot(n: usize) -> f64 {
    let mut sum = 0.0;
    for _ in 0..n {
        let start = Instant::now();
        tokio::time::sleep(Duration::from_micros(50)).await;
        sum += start.elapsed().as_nanos() as f64 / 1e3 - 50.0;
    }
    sum / n as f64
}

fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = |key: &str| -> f64 {
        let line = status.lines().find(|l| l.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (kib("VmRSS:") + kib("VmPTE:")) * 1024.0
}

async fn parked(n: usize) -> f64 {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (up, mut ups) = channel(1024);
    let before = resident_bytes();
    for _ in 0..n {
        let (gate, up) = (gate.clone(), up.clone());
        spawn(async move {
            up.send(()).await.unwrap();
            drop(up);
            assert!(gate.acquire().await.is_err());
        });
    }
    for _ in 0..n {
        ups.recv().await.unwrap();
    }
    let bytes = (resident_bytes() - before) / n as f64;
    gate.close();
    bytes
}

async fn serve_echo() -> f64 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    loop {
        let (mut c, _) = listener.accept().await.unwrap();
        c.set_nodelay(true).unwrap();
        spawn(async move {
            let mut buf = [0u8; 4096];
            loop {
                match c.read(&mut buf).await {
                    Ok(n) if n > 0 && c.write_all(&buf[..n]).await.is_ok() => {}
                    _ => return,
                }
            }
        });
    }
}

async fn dial_close(n: usize) -> f64 {
    use tokio::io::AsyncReadExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    spawn(async move {
        loop {
            let (mut c, _) = listener.accept().await.unwrap();
            spawn(async move { c.read(&mut [0u8; 1]).await });
        }
    });
    let start = Instant::now();
    for _ in 0..n {
        drop(tokio::net::TcpStream::connect(at).await.unwrap());
    }
    ns(start, n) / 1e3
}

fn run(bench: &str, n: usize) -> Option<(f64, &'static str)> {
    let (v, unit) = match bench {
        "yield" => (one().block_on(yield_turns(n)), "ns/op"),
        "spawn_join" => (one().block_on(spawn_join(n)), "ns/op"),
        "spawn_batch1000" => (one().block_on(spawn_batch1000(n)), "ns/op"),
        "fib23_tree" => (one().block_on(fib23_tree(n)), "ms"),
        "fib23_tree_2p" => (two().block_on(fib23_tree(n)), "ms"),
        "sieve500" => (one().block_on(sieve500(n)), "ms"),
        "sieve500_2p" => (two().block_on(sieve500(n)), "ms"),
        "chan_unbuffered_rt" => (one().block_on(unbuffered_rt(n)), "ns/op"),
        "chan_unbuffered_rt_2p" => (unbuffered_rt_crossing(n), "ns/op"),
        "chan_unbuffered_rt_2p_free" => (two().block_on(unbuffered_rt(n)), "ns/op"),
        "chan_buffered_1p" => (one().block_on(buffered_1p(n)), "ns/op"),
        "chan_buffered_2p" => (buffered_2p(n), "ns/op"),
        "select2" => (one().block_on(select2(n)), "ns/op"),
        "select4" => (one().block_on(select4(n)), "ns/op"),
        "select8" => (one().block_on(select8(n)), "ns/op"),
        "fan_8x1" => (one().block_on(fan_8x1(n)), "ns/op"),
        "fan_8x1_2p" => (two().block_on(fan_8x1(n)), "ns/op"),
        "mutex_uncontended" => (one().block_on(mutex_uncontended(n)), "ns/op"),
        "mutex_contended8" => (two().block_on(mutex_contended8(n)), "ns/op"),
        "rwmutex_rlock" => (one().block_on(rwmutex_rlock(n)), "ns/op"),
        "once_done" => (one().block_on(once_done(n)), "ns/op"),
        "timer_new_stop" => (one().block_on(timer_new_stop(n)), "ns/op"),
        "sleepers_100k_cpu" => (two().block_on(sleepers(n)), "ns/op"),
        "sleep_overshoot_50us" => (one().block_on(sleep_overshoot(n)), "us"),
        "serve_echo" => (two().block_on(serve_echo()), ""),
        "serve_echo_1p" => (one().block_on(serve_echo()), ""),
        "dial_close_us" => (two().block_on(dial_close(n)), "us"),
        "parked_1m_bytes" => (one().block_on(parked(n)), "B"),
        _ => return None,
    };
    Some((v, unit))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n = args.get(2).and_then(|s| s.parse().ok()).unwrap_or(0);
    match (n, args.get(1)) {
        (1.., Some(bench)) => match run(bench, n) {
            Some((v, unit)) => println!("{bench} {v:.4} {unit}"),
            None => std::process::exit(64),
        },
        _ => std::process::exit(64),
    }
}
