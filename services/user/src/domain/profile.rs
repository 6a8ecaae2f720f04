//! A profile, and what an edit may change of it.

use vocabulary::UserId;

/// The longest part of a name.
const MAX_NAME: usize = 100;

/// One field that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldError {
    /// Name of the field in the request.
    pub field: &'static str,
    /// What it should have been.
    pub message: &'static str,
}

/// What the shop knows about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The account.
    pub id: UserId,
    /// Owned by auth, shown here.
    pub username: String,
    /// Owned by auth, shown here.
    pub email: String,
    /// Empty until told.
    pub first_name: String,
    /// Empty until told.
    pub last_name: String,
    /// Counts edits, from 1.
    pub version: i64,
}

/// What a person wants changed. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Another first name.
    pub first_name: Option<String>,
    /// Another last name.
    pub last_name: Option<String>,
    /// May be sent back, not changed.
    pub id: Option<UserId>,
    /// May be sent back, not changed.
    pub username: Option<String>,
    /// May be sent back, not changed.
    pub email: Option<String>,
}

impl Profile {
    /// The profile after an edit, with the version it will have; all refused fields at once.
    pub fn edit(self, edit: Edit) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut fixed = |field, differs: bool| {
            if differs {
                let message = "belongs to the account and cannot be changed here";
                errors.push(FieldError { field, message });
            }
        };
        fixed("id", edit.id.is_some_and(|id| id != self.id));
        fixed(
            "username",
            edit.username.is_some_and(|name| name != self.username),
        );
        fixed("email", edit.email.is_some_and(|email| email != self.email));
        let mut name = |field, new: Option<String>, old: String| match new.map(|new| name(&new)) {
            None => old,
            Some(Some(new)) => new,
            Some(None) => {
                let message = "must be at most 100 characters, without control characters";
                errors.push(FieldError { field, message });
                old
            }
        };
        let first_name = name("first_name", edit.first_name, self.first_name);
        let last_name = name("last_name", edit.last_name, self.last_name);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            first_name,
            last_name,
            version: self.version + 1,
            ..self
        })
    }
}

/// A name without spaces around it, if it is one. People's names are what people say they are: only
/// length and control characters are refused.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control);
    legal.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            id: UserId::from_uuid(uuid::Uuid::from_u128(7)),
            username: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
            first_name: String::new(),
            last_name: "Lee".to_owned(),
            version: 3,
        }
    }

    fn first(name: &str) -> Edit {
        Edit {
            first_name: Some(name.to_owned()),
            ..Edit::default()
        }
    }

    #[test]
    fn what_is_absent_stays() {
        let edited = profile().edit(first(" Ann ")).unwrap();
        assert_eq!(
            (edited.first_name.as_str(), edited.last_name.as_str()),
            ("Ann", "Lee")
        );
        assert_eq!(edited.version, 4);
    }

    #[test]
    fn a_name_can_be_taken_back() {
        let edit = Edit {
            last_name: Some(String::new()),
            ..Edit::default()
        };
        assert_eq!(profile().edit(edit).unwrap().last_name, "");
    }

    #[test]
    fn names_of_many_alphabets_are_names() {
        for name in [
            "Zoë",
            "李小龍",
            "O'Brien-Smith",
            "María José",
            "Ng",
            "X Æ A-12",
        ] {
            assert!(profile().edit(first(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn long_names_and_control_characters_are_refused() {
        for name in ["x".repeat(101), "a\u{0}b".to_owned(), "a\nb".to_owned()] {
            let errors = profile().edit(first(&name)).unwrap_err();
            assert_eq!(errors[0].field, "first_name");
        }
        assert!(profile().edit(first(&"ß".repeat(100))).is_ok());
    }

    #[test]
    fn the_account_can_be_sent_back_but_not_changed() {
        let same = Edit {
            id: Some(profile().id),
            username: Some("ann".to_owned()),
            email: Some("ann@example.com".to_owned()),
            ..first("Ann")
        };
        assert!(profile().edit(same.clone()).is_ok());
        let other = Edit {
            id: Some(UserId::from_uuid(uuid::Uuid::from_u128(8))),
            username: Some("bob".to_owned()),
            email: Some("bob@example.com".to_owned()),
            ..same
        };
        let fields: Vec<_> = profile()
            .edit(other)
            .unwrap_err()
            .iter()
            .map(|e| e.field)
            .collect();
        assert_eq!(fields, ["id", "username", "email"]);
    }
}
