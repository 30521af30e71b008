//! Container variables of a dialog in the test kit: what a call's INVITE leaves, its BYE and its event find.

#![allow(clippy::panic, reason = "a test's helper fails as its test does")]

use switchhook_sdk::testkit::{Site, request};

#[switchhook_sdk::script]
mod routes {
    use switchhook_sdk::erlang::variables::{erl_list, erl_pid, erl_ref, erl_tuple, erl_xbuff};
    use switchhook_sdk::erlang::{Term, atom, list, map, tuple};
    use switchhook_sdk::prelude::*;

    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        if req.in_dialog() {
            req.loose_route()?;
            let account = erl_tuple("account").of_dialog();
            account.set_element(1, "bob")?;
            assert!(erl_list("legs").of_dialog().unset()?);
            assert!(!erl_list("legs").of_dialog().unset()?);
            return req.relay();
        }
        req.manage_dialog()?;
        let account = erl_tuple("account").of_dialog();
        account.prepend("alice")?;
        account.prepend(atom("account"))?;
        assert!(
            erl_tuple("account").find()?.is_none(),
            "the transaction has none"
        );
        let legs = erl_list("legs").of_dialog();
        legs.prepend(2)?;
        legs.prepend(1)?;
        assert_eq!(
            (legs.kind()?, legs.length()?, legs.format()?),
            ("list", 2, "[1,2]".to_owned())
        );

        // of every kind that a text can say
        erl_pid("p").of_dialog().set(erlang::self_pid()?)?;
        assert_eq!(erl_pid("p").of_dialog().pid()?, erlang::self_pid()?);
        let made = erlang::make_ref()?;
        erl_ref("r").of_dialog().set(made.clone())?;
        assert_eq!(erl_ref("r").of_dialog().reference()?, made);
        let all = tuple![
            1.5,
            Term::binary([0, 255]),
            "\u{1}\u{7}",
            map! { atom("Élan d'été") => list![1; 2] }
        ];
        erl_xbuff("x").of_dialog().set(all.clone())?;
        assert_eq!(erl_xbuff("x").of_dialog().get()?, all);
        req.record_route()?;
        req.relay()
    }

    #[event_route("dialog:end")]
    fn ended(_: &dialog::Info) -> Outcome {
        log::info!("{}", erl_tuple("account").of_dialog().format()?);
        Ok(Done)
    }
}

#[test]
fn what_an_invite_leaves_the_end_of_the_call_finds() {
    let site = Site::new(routes::Script, "{}");
    let mut call =
        site.receive(request("INVITE", "sip:bob@192.0.2.7").from("sip:alice@example.test"));
    call.replies(200);
    let bye = call.within("BYE");
    site.receive(bye);
    assert_eq!(site.log(), ["info: {account,\"bob\"}"]);
}
