use std::fs;

use super::{Example, service};
use sluicebox_service::maintain::{MaintainRequest, maintain};
use sluicebox_service::quarantine;
use sluicebox_service::replay::{ReplayRequest, replay};
use sluicebox_service::status::status;
use sluicebox_service::{ErrorKind, OperationError, Session, open_lake};

#[test]
fn errors_say_whether_the_request_or_the_work_is_to_blame() {
    let (example, service) = (Example::new(), service());
    let mut missing = example.file.clone();
    missing.vars.clear();
    assert_eq!(missing.load().expect_err("a variable is missing").kind(), ErrorKind::Usage);

    fs::write(example.lake(), "not a folder").expect("a temporary folder is writable");
    let loaded = example.file.load().expect("the file is valid");
    let location = example.file.location(&loaded);
    let error = Session::open(&service, loaded, location).err().expect("a file is no lake");
    assert_eq!(error.kind(), ErrorKind::Failure);
    assert_eq!(OperationError::from(error).lines().len(), 1);

    let folder = example.folder.path().join("empty");
    fs::create_dir_all(&folder).expect("a temporary folder is writable");
    let lake = open_lake(crate::harness::text(&folder)).expect("a folder is a lake");
    let empty = service.wait(status(&lake, "empty")).expect_err("there is nothing to see");
    assert_eq!((empty.kind(), empty.to_string().as_str()), (ErrorKind::Failure, "empty holds no tables"));
    let request = MaintainRequest { lake: &lake, location: "empty", plan: None, tables: &[], dry_run: true };
    let error = service.wait(maintain(request)).err().expect("there is nothing to do");
    assert_eq!(error.kind(), ErrorKind::Failure);
    let to = folder.join("rows.xml");
    let error = service.wait(quarantine::export(&lake, "land", None, &to)).expect_err("nobody can write that");
    assert_eq!(error.kind(), ErrorKind::Usage);
    let request = ReplayRequest { lake: &lake, hop: "land", pipeline: None, from: None, into: None };
    let error = replay(&service, request).expect_err("no table names the hop");
    assert_eq!(error.kind(), ErrorKind::Usage);
}
