DELETE FROM admin_links
