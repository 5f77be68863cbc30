-- Comments on blog entries are told of, too: their subject is the comment.
ALTER TABLE notifications
    DROP CONSTRAINT notifications_type_check,
    ADD CONSTRAINT notifications_type_check CHECK (type BETWEEN 1 AND 5); -- NotificationType
