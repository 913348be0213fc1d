"""Logins and API keys in SQLite, with a session for each thread and caches in front."""

import base64
import hashlib
import os
import time

from sqlalchemy import Boolean, Column, Integer, String, Text, create_engine
from sqlalchemy.orm import declarative_base, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

engine = create_engine(os.environ["DATABASE_URL"], poolclass=NullPool, connect_args={"check_same_thread": False})
db_session = scoped_session(sessionmaker(autocommit=False, autoflush=False, bind=engine))
Base = declarative_base()
Base.query = db_session.query_property()

auth_cache = {}
feed_token_cache = {}
broker_cache = {}
verified_api_key_cache = {}
invalid_api_key_cache = {}


class Auth(Base):
    __tablename__ = "auth"
    id = Column(Integer, primary_key=True)
    name = Column(String(255), unique=True, nullable=False)
    auth = Column(Text, nullable=False)
    feed_token = Column(Text, nullable=True)
    broker = Column(String(20), nullable=False)
    is_revoked = Column(Boolean, default=False)


class ApiKeys(Base):
    __tablename__ = "api_keys"
    id = Column(Integer, primary_key=True)
    user_id = Column(String, nullable=False, unique=True)
    api_key_hash = Column(Text, nullable=False)


def init_db():
    Base.metadata.create_all(bind=engine)


def encrypt_token(token):
    """The same token never looks the same twice."""
    return base64.b64encode(os.urandom(8) + token.encode()).decode()


def decrypt_token(encrypted):
    return base64.b64decode(encrypted)[8:].decode() if encrypted else ""


def get_auth_token(name, bypass_cache=False):
    if bypass_cache or name not in auth_cache:
        row = Auth.query.filter_by(name=name).first()
        if row is None or row.is_revoked:
            return None
        auth_cache[name] = row
    return decrypt_token(auth_cache[name].auth)


def upsert_auth(name, token, broker, revoke=False):
    row = Auth.query.filter_by(name=name).first()
    changed = row is None or decrypt_token(row.auth) != token or row.broker != broker or row.is_revoked != revoke
    if row is None:
        row = Auth(name=name)
        db_session.add(row)
    row.auth, row.broker, row.is_revoked = encrypt_token(token), broker, revoke
    db_session.commit()
    if changed or revoke:
        from websocket_proxy.connection_manager import SharedZmqPublisher

        publisher = SharedZmqPublisher()
        publisher.connect()
        message = {"action": "invalidate", "user_id": name, "cache_type": "ALL"}
        publisher.publish(f"CACHE_INVALIDATE_ALL_{name}", message)


def upsert_api_key(user_id, api_key):
    """Tells no other process."""
    row = ApiKeys.query.filter_by(user_id=user_id).first()
    if row is None:
        row = ApiKeys(user_id=user_id)
        db_session.add(row)
    row.api_key_hash = hashlib.sha256(api_key.encode()).hexdigest()
    db_session.commit()
    verified_api_key_cache.clear()
    invalid_api_key_cache.clear()


def verify_api_key(provided_api_key):
    """None also for a database that fails, as OpenAlgo's."""
    digest = hashlib.sha256(provided_api_key.encode()).hexdigest()
    if digest in invalid_api_key_cache:
        return None
    if digest in verified_api_key_cache:
        return verified_api_key_cache[digest]
    try:
        time.sleep(0.05)
        for row in ApiKeys.query.all():
            if row.api_key_hash == digest:
                verified_api_key_cache[digest] = row.user_id
                return row.user_id
    except Exception:
        return None
    invalid_api_key_cache[digest] = True
    return None
