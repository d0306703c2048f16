use super::*;

/// A daemon's folder on one bucket.
struct Machine {
    folder: tempfile::TempDir,
    depot: Depot,
}

impl Machine {
    fn new(remote: &Remote, limit: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let depot = Depot::shared(folder.path(), remote.clone(), limit).unwrap();
        Self { folder, depot }
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn is_at_hand(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    fn names(&self) -> Vec<String> {
        let mut found = Vec::new();
        find_files(self.folder.path(), "", &mut found).unwrap();
        let mut names: Vec<String> = found.into_iter().map(|(_, name, _)| name).collect();
        names.sort();
        names
    }
}

/// What blocks may not run on a thread that runs tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn publish(machine: &Machine, names: &[&str]) -> Result<(), DepotError> {
    let (depot, names) = (machine.depot.clone(), names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    blocking(move || depot.publish(&names)).await
}

async fn read(machine: &Machine, name: &str) -> Result<String, DepotError> {
    let (depot, name) = (machine.depot.clone(), name.to_owned());
    blocking(move || Ok(fs::read_to_string(depot.hold().file(&name)?).unwrap())).await
}

#[tokio::test]
async fn what_one_machine_publishes_another_reads_and_keeps_a_copy_of() {
    let remote = Remote::in_memory();
    let (first, second) = (Machine::new(&remote, None), Machine::new(&remote, None));
    first.write("snp_1/a.parquet", "more than one piece of it");
    assert!(matches!(read(&second, "snp_1/a.parquet").await, Err(DepotError::Missing { .. })));
    assert!(!second.depot.has("snp_1/a.parquet").await.unwrap());
    publish(&first, &["snp_1/a.parquet"]).await.unwrap();
    assert!(second.depot.has("snp_1/a.parquet").await.unwrap() && !second.is_at_hand("snp_1/a.parquet"));
    assert_eq!(read(&second, "snp_1/a.parquet").await.unwrap(), "more than one piece of it");
    // The copy is read, not the bucket.
    remote.remove(["snp_1/a.parquet".to_owned()]).await.unwrap();
    assert_eq!(read(&second, "snp_1/a.parquet").await.unwrap(), "more than one piece of it");
    assert_eq!(second.names(), ["snp_1/a.parquet"], "nothing half fetched is left");
}

#[tokio::test]
async fn a_file_that_cannot_be_put_is_not_published() {
    let remote = Remote::in_memory();
    let first = Machine::new(&remote, None);
    first.write("a", "content");
    let error = publish(&first, &["a", "never-written"]).await.unwrap_err();
    assert!(error.to_string().contains("never-written"), "{error}");
}

#[tokio::test]
async fn a_copy_of_another_length_is_fetched_again() {
    let remote = Remote::in_memory();
    let machine = Machine::new(&remote, None);
    machine.write("a", "all of it");
    publish(&machine, &["a"]).await.unwrap();
    machine.write("a", "all");
    let depot = machine.depot.clone();
    let path = blocking(move || depot.hold().files(&[("a".to_owned(), Some(9))])).await.unwrap().remove(0);
    assert_eq!(fs::read_to_string(path).unwrap(), "all of it");
}

#[tokio::test]
async fn copies_make_room_for_each_other_and_what_is_held_or_unpublished_stays() {
    let remote = Remote::in_memory();
    let maker = Machine::new(&remote, None);
    let names = ["a", "b", "c", "d"];
    for name in names {
        maker.write(name, "8 bytes.");
    }
    publish(&maker, &names).await.unwrap();

    let machine = Machine::new(&remote, Some(24));
    machine.write("unpublished", "a long text that nobody else has");
    read(&machine, "a").await.unwrap();
    read(&machine, "b").await.unwrap();
    let depot = machine.depot.clone();
    let hold = move || {
        let mut held = depot.hold();
        held.file("a").unwrap();
        held
    };
    let held = blocking(hold).await;
    read(&machine, "c").await.unwrap();
    read(&machine, "d").await.unwrap();
    assert!(machine.is_at_hand("a") && machine.is_at_hand("d") && machine.is_at_hand("unpublished"));
    assert!(!machine.is_at_hand("b"), "not used for longest");
    drop(held);
    read(&machine, "b").await.unwrap();
    read(&machine, "c").await.unwrap();
    assert!(!machine.is_at_hand("a"), "it is held no more");
    assert_eq!(read(&machine, "a").await.unwrap(), "8 bytes.");
}

#[tokio::test]
async fn a_file_that_many_ask_for_is_fetched_once_and_all_have_it() {
    let remote = Remote::in_memory();
    let maker = Machine::new(&remote, None);
    maker.write("a", "a text that needs three");
    publish(&maker, &["a"]).await.unwrap();
    let machine = Machine::new(&remote, None);
    let reads = (0..20).map(|_| read(&machine, "a"));
    for read in futures::future::join_all(reads).await {
        assert_eq!(read.unwrap(), "a text that needs three");
    }
    let shared = machine.depot.shared.as_ref().unwrap();
    assert!(lock(&shared.fetching).is_empty());
}

#[tokio::test]
async fn what_is_removed_is_gone_from_the_folder_and_from_the_bucket() {
    let remote = Remote::in_memory();
    let (first, second) = (Machine::new(&remote, None), Machine::new(&remote, None));
    for name in ["snp_1/a", "snp_1/b", "rated/run_1", "rated/run_2"] {
        first.write(name, "x");
    }
    publish(&first, &["snp_1/a", "snp_1/b", "rated/run_1", "rated/run_2"]).await.unwrap();
    read(&second, "snp_1/a").await.unwrap();
    read(&second, "rated/run_2").await.unwrap();
    first.depot.remove(&["snp_1".to_owned(), "rated/run_1".to_owned()]).await;
    assert_eq!(first.names(), ["rated/run_2"]);
    assert!(!second.depot.has("rated/run_1").await.unwrap());
    // The other machine's copy goes when it looks which names count.
    second.depot.keep(|name| name == "rated/run_2");
    assert_eq!(second.names(), ["rated/run_2"]);
}

#[tokio::test]
async fn copies_of_before_a_restart_count_and_half_fetched_files_are_removed() {
    let remote = Remote::in_memory();
    let machine = Machine::new(&remote, None);
    machine.write("a", "8 bytes.");
    machine.write(".fetching/half", "8 by");
    let again = Depot::shared(machine.folder.path(), remote, Some(4)).unwrap();
    assert_eq!(machine.names(), [""; 0], "more than the limit");
    assert_eq!(fs::read_dir(again.folder().join(FETCHING)).unwrap().count(), 0);
}

#[test]
fn without_a_bucket_a_name_is_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let depot = Depot::local(folder.path());
    depot.publish(&["never-written".to_owned()]).unwrap();
    assert_eq!(depot.hold().file("rated/run_1").unwrap(), folder.path().join("rated/run_1"));
    assert_eq!(depot.bucket(), None);
}
